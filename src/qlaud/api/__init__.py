"""Thin HTTP edges: read a request, call a flow, write the answer in the caller's shape."""
