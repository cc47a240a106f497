"""Add e-mail addresses from a CSV file to a segment.

Run it as `python emails_to_pilot_segment.py PROJECT KEY pilots.csv`.
"""

import sys

from amp_exp_async import ExperimentClient, read_values

project, key, path = sys.argv[1:]
addresses = read_values(path, column="email")
with ExperimentClient() as client:
    flag = client.flags.find(key, project_id=project)
    # Reads the segments, adds what is missing, and keeps what others have changed meanwhile.
    client.flags.segments.add_values(flag.id, "Pilot", "gp:email", addresses, case="ignore")
print(f"Addresses of the file that are in the segment Pilot of {key}: {len(addresses)}")
