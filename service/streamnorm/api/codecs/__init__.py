"""Codecs of request and response bodies, one media type per file of `json`, `arrays` or `devices`."""
