// Command verify checks an export of a Handrail audit log with golang.org/x/mod/sumdb/{note,tlog},
// the code that guards Go's own checksum database. It shares nothing with Handrail.
//
//	verify EXPORT_DIR VKEY_FILE [ANCHOR_FILE ...]
//
// VKEY_FILE holds the verifier key the auditor has; anchors are checkpoints the auditor kept.
// Exit code 0: everything holds. 1: something does not, one line says what. 2: wrong use.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type head struct {
	size int64
	root tlog.Hash
}

// storage keeps the hashes of the rebuilt tree in tlog's own linear order.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(s)) {
			return nil, fmt.Errorf("no stored hash %d", index)
		}
		out[i] = s[index]
	}
	return out, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify EXPORT_DIR VKEY_FILE [ANCHOR_FILE ...]")
		os.Exit(2)
	}
	size, err := verify(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Println("REJECTED:", err)
		os.Exit(1)
	}
	fmt.Println("accepted:", size, "entries")
}

func verify(dir, vkeyFile string, anchors []string) (int64, error) {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return 0, err
	}
	verifier, err := note.NewVerifier(strings.TrimSuffix(string(vkey), "\n"))
	if err != nil {
		return 0, fmt.Errorf("verifier key: %v", err)
	}
	own, err := os.ReadFile(filepath.Join(dir, "vkey"))
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(own, vkey) {
		return 0, errors.New("the export brings another verifier key than the auditor holds")
	}
	current, err := readHead(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return 0, err
	}
	entries, err := readEntries(filepath.Join(dir, "entries.jsonl"))
	if err != nil {
		return 0, err
	}
	size := int64(len(entries))
	if size != current.size {
		return 0, fmt.Errorf("%d entries, the checkpoint covers %d", size, current.size)
	}
	var tree storage
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, tree)
		if err != nil {
			return 0, err
		}
		tree = append(tree, hashes...)
	}
	if err := checkRoot(tree, current, "checkpoint"); err != nil {
		return 0, err
	}
	for _, path := range anchors {
		anchor, err := readHead(path, verifier)
		if err != nil {
			return 0, err
		}
		if anchor.size > size {
			return 0, fmt.Errorf("%d entries, the anchor %s covers %d", size, path, anchor.size)
		}
		if err := checkRoot(tree, anchor, "anchor "+path); err != nil {
			return 0, err
		}
	}
	if err := checkEarlier(dir, verifier, tree, current); err != nil {
		return 0, err
	}
	return size, checkProofs(dir, verifier, tree, entries)
}

// checkRoot compares a head with the tree rebuilt from the entries.
func checkRoot(tree storage, h head, what string) error {
	if h.size == 0 {
		return nil // tlog knows no empty tree; the number of entries was compared already
	}
	root, err := tlog.TreeHash(h.size, tree)
	if err != nil {
		return fmt.Errorf("%s: %v", what, err)
	}
	if root != h.root {
		return fmt.Errorf("%s: the root of the first %d entries is %v, not %v",
			what, h.size, root, h.root)
	}
	return nil
}

// readEntries splits at LF alone: a line scanner would drop a CR before it and hide a changed byte.
func readEntries(path string) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, nil
	}
	if data[len(data)-1] != '\n' {
		return nil, errors.New("the last entry has no LF")
	}
	if i := bytes.IndexByte(data, '\r'); i >= 0 {
		return nil, fmt.Errorf("CR at byte %d of the entries", i)
	}
	return bytes.Split(data[:len(data)-1], []byte("\n")), nil
}

func readHead(path string, verifier note.Verifier) (head, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return head{}, err
	}
	h, err := openHead(data, verifier)
	if err != nil {
		return head{}, fmt.Errorf("%s: %v", path, err)
	}
	return h, nil
}

func openHead(data []byte, verifier note.Verifier) (head, error) {
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return head{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return head{}, err
	}
	return head{size, root}, nil
}

func readHashes(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil || base64.StdEncoding.EncodeToString(hash[:]) != line {
			return nil, fmt.Errorf("hash %q", line)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// checkEarlier holds each checkpoint.N to the tree and to its consistency proof.
func checkEarlier(dir string, verifier note.Verifier, tree storage, current head) error {
	paths, err := filepath.Glob(filepath.Join(dir, "checkpoint.*"))
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, path := range paths {
		earlier, err := readHead(path, verifier)
		if err != nil {
			return err
		}
		if filepath.Base(path) != fmt.Sprintf("checkpoint.%d", earlier.size) {
			return fmt.Errorf("%s covers %d entries", path, earlier.size)
		}
		if earlier.size > current.size {
			return fmt.Errorf("%s is larger than the head", path)
		}
		if err := checkRoot(tree, earlier, path); err != nil {
			return err
		}
		if earlier.size == 0 || earlier.size == current.size {
			continue
		}
		name := fmt.Sprintf("%d-%d.txt", earlier.size, current.size)
		wanted[name] = true
		data, err := os.ReadFile(filepath.Join(dir, "consistency", name))
		if err != nil {
			return err
		}
		proof, err := readHashes(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"))
		if err != nil {
			return fmt.Errorf("consistency/%s: %v", name, err)
		}
		err = tlog.CheckTree(tlog.TreeProof(proof), current.size, current.root,
			earlier.size, earlier.root)
		if err != nil {
			return fmt.Errorf("consistency/%s: %v", name, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "consistency", "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if !wanted[filepath.Base(path)] {
			return fmt.Errorf("%s belongs to no checkpoint", path)
		}
	}
	return nil
}

// checkProofs checks every tlog-proof@v1 against its leaf file and against the entry.
func checkProofs(dir string, verifier note.Verifier, tree storage, entries [][]byte) error {
	files, err := filepath.Glob(filepath.Join(dir, "proofs", "*"))
	if err != nil {
		return err
	}
	indices := map[string]bool{}
	for _, path := range files {
		base := filepath.Base(path)
		indices[strings.TrimSuffix(strings.TrimSuffix(base, ".leaf"), ".tlog-proof")] = true
	}
	var names []string
	for name := range indices {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		leaf, err := os.ReadFile(filepath.Join(dir, "proofs", name+".leaf"))
		if err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, "proofs", name+".tlog-proof"))
		if err != nil {
			return err
		}
		if err := checkProof(name, leaf, data, verifier, tree, entries); err != nil {
			return fmt.Errorf("proofs/%s: %v", name, err)
		}
	}
	return nil
}

func checkProof(name string, leaf, data []byte, verifier note.Verifier, tree storage, entries [][]byte) error {
	text, checkpoint, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		return errors.New("no checkpoint in the proof")
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("first line %q", lines[0])
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || lines[0] != "index "+name {
		return errors.New("the index is not the one of the file name")
	}
	index, err := strconv.ParseInt(name, 10, 64)
	if err != nil || index < 0 || index >= int64(len(entries)) {
		return errors.New("no such entry")
	}
	path, err := readHashes(lines[1:])
	if err != nil {
		return err
	}
	h, err := openHead(checkpoint, verifier)
	if err != nil {
		return err
	}
	if err := checkRoot(tree, h, "checkpoint of the proof"); err != nil {
		return err
	}
	if !bytes.Equal(leaf, entries[index]) {
		return errors.New("the leaf is not the entry")
	}
	return tlog.CheckRecord(tlog.RecordProof(path), h.size, h.root, index, tlog.RecordHash(leaf))
}
