"""Valkey or Redis, one node or a cluster: where the streams of several replicas of the service rest.

The store keeps blobs and compares; all arithmetic happens in the service, so a reading gets the same bits as on one
machine.
"""
