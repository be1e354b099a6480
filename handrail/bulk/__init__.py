"""The same gate over files: rows in, rulings out, whatever is wrong with a row beside them.

    names.py   headers of a file → names a policy can use
    read.py    CSV, JSON Lines and Parquet as rows with their numbers
    cells.py   one cell → the value its declared field takes
    judge.py   rows through a policy, with the tally
    write.py   results and bad rows, whole or not at all
    infer.py   what the columns of a file look like
    draft.py   a first policy from columns or from a typed model

CSV and JSON Lines are read in one own pass, because they have to be exact about rows (line numbers,
ragged rows, keys that stand twice); Parquet is read by Polars, loaded only then.
"""
