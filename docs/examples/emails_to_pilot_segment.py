"""Add e-mail addresses from a CSV file to a segment.

Run it as `python emails_to_pilot_segment.py new-checkout pilots.csv`.
"""

import csv
import sys
from pathlib import Path

from amp_exp_async import ExperimentClient

key, path = sys.argv[1:]
with Path(path).open(newline="", encoding="utf-8-sig") as file:
    addresses = [row["email"].strip() for row in csv.DictReader(file) if row["email"].strip()]
with ExperimentClient() as client:
    flag = client.flags.find(key)
    # Reads the segments, adds what is missing, and keeps what others have changed meanwhile.
    client.flags.segments.add_values(flag.id, "Pilot", "gp:email", addresses, case="ignore")
print(f"{len(addresses)} addresses are in the segment Pilot of {key}.")
