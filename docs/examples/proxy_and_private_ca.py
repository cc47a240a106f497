"""Reach the service through a proxy, with a private certificate authority.

Run it as `python proxy_and_private_ca.py PROXY CA.pem`.
"""

import ssl
import sys

from amp_exp_async import ExperimentClient

proxy, ca_file = sys.argv[1:]
context = ssl.create_default_context(cafile=ca_file)
with ExperimentClient(proxy=proxy, ssl=context) as client:
    print(len(list(client.flags.list())), "flags")
