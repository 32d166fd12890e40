"""Valkey or Redis, one node or a cluster: the store that several replicas of the service share.

The store holds blobs and performs the compare-and-set; all arithmetic happens in the service, so results are
bit-identical to those of a single machine.
"""
