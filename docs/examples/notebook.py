"""Explore flags in a Jupyter notebook.

Install `jupyterlab` or `ipython`.

Open it as a notebook in VS Code, PyCharm or with Jupytext, or copy its cells.
"""

# %% The blocking client needs neither `await` nor `with`, although a notebook runs an event loop.
import attrs

from amp_exp_async import ExperimentClient

PROJECT = "123"
client = ExperimentClient()

# %% A list is shown as a table of its first page.
client.flags.list(project_id=PROJECT)

# %% So is the history of a flag: who changed what.
flag = client.flags.find("new-checkout", project_id=PROJECT)
client.history("flags", flag.id)

# %% For pandas: `pandas.DataFrame(rows)`.
rows = [flag.to_dict() for flag in client.flags.list(project_id=PROJECT)]

# %% A plan shows what would change, and changes nothing.
manifest = client.export(project_id=PROJECT, keys=["new-checkout"])
flags = [attrs.evolve(flag, rollout_percentage=50) for flag in manifest.flags]
plan = client.plan(attrs.evolve(manifest, flags=flags))
plan

# %% It is applied when this cell is run. Interrupting the kernel starts nothing more, and records what was sent.
client.apply(plan).wait()

# %%
client.close()
