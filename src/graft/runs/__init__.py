"""The run folder: names, status, atomic writes. Imports no torch."""

from graft.runs.folder import RunFolder as RunFolder
