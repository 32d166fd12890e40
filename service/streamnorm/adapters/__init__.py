"""The normalizer as a part of other libraries: scikit-learn, river, Gymnasium; each module needs its library.

Each works in process, or through the SDK on a stream of a service: pass it `stream=client.stream("boiler-7")`.
"""
