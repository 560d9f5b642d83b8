"""The feature cache: what a frozen prefix makes of an image is computed once and kept on disk.

An entry is a folder named by its key, which says how boundary tensors are computed; in it, tensors are found
by the content of their image. Importing this package imports no torch.
"""
