"""`streamnorm backfill`: recorded files through the engine, which leaves the streams warmed up.

Rules, by which a backfill that was killed goes on where it was, to the same bits, and applies no row twice:

1. A file is taken in chunks of a fixed number of rows; a stream's rows of one chunk are one numbered block.
2. The journal (`journal`) knows each stream's last number before the file's first block of it reaches the stream.
3. Then come, in this order: the blocks, the written rows, the journal's next entry.
4. What was killed in between sends the same blocks under the same numbers again: those that were applied are replayed.
"""
