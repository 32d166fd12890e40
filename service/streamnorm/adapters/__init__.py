"""Adapters for other libraries: scikit-learn, river, Gymnasium; each module needs its library.

Each works in process, or by the SDK with a stream of a service: pass `stream=client.stream("boiler-7")`.
"""
