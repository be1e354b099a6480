"""Kill it, cut its power, move its clock, race it, break it on purpose; then judge what is left.

world      the workload: policies, people, and what submitters, reviewers and workers do
journal    what clients meant and were told, and what the outside world saw, kept outside
evidence   what the store and the log say afterwards, read through the product
checker    the judge: one list of promises, each with the histories that break it
powercut   a VFS that knows which bytes were flushed, and makes the disks a cut may leave
cuts, kills, jumps, races     the faults
surfaces      API, page and shell answer one review at the same moment
team, wire the same judge over a team's servers, workers and PostgreSQL, each struck in turn
mutants    deliberately broken builds, to prove that the judge can see
run        all of it, resumable: `make faults SEED=… FROM=…`
"""
