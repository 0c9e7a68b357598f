"""What happened to pods: pure steps from (what is remembered, what came, when) to (what is remembered, observations).

Time is an argument and deadlines are state of the record, so that every history can be replayed. The rules are
numbered as in docs/rules.md.
"""
