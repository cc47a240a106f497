"""Find flags by the beginning of their key and a tag.

Run it as `python find_by_prefix_and_tag.py checkout- legacy`.
"""

import sys

from amp_exp_async import ExperimentClient

prefix, tag = sys.argv[1:]
with ExperimentClient() as client:
    for flag in client.flags.list():
        if flag.key.startswith(prefix) and tag in (flag.tags or []):
            print(flag.id, flag.key, "on" if flag.enabled else "off")
