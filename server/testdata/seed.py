"""Does what cloud-init does on a machine, by its own functions: reads the seed at an address, and phones home, twice.

    python3 seed.py SEED BASE ADDRESS

In the address to phone home to, BASE stands for ADDRESS, where the server really is.
"""

import json
import logging
import sys

from cloudinit import sources, util
from cloudinit.config import cc_phone_home


class Cloud:
    paths = None  # of certificates

    def __init__(self, meta):
        self.meta = meta

    def get_instance_id(self):
        return self.meta["instance-id"]

    def get_hostname(self, fqdn=False, metadata_only=False):
        return sources.DataSourceHostname(self.meta["local-hostname"], False)


seed, base, address = sys.argv[1:]
meta, user, vendor = util.read_seeded(base=seed, timeout=30, retries=0)
assert vendor == b"", vendor
assert user.startswith(b"#cloud-config\n"), user
config = util.load_yaml(user)
config["phone_home"]["url"] = config["phone_home"]["url"].replace(base, address)
config["phone_home"]["tries"] = 1
for _ in range(2):
    cc_phone_home.handle("phone_home", config, Cloud(meta), logging.getLogger(), [])
print(json.dumps(meta))
