"""Many runs from one command: which jobs there are, which are left to do, and what became of them.

Hydra's launchers run the jobs; the classes that it asks for them stand in `hydra_plugins.graft_sweepers`.
Imports no torch.
"""
