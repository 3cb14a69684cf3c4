"""What schemathesis cannot draw from a schema: texts of the document's own formats, and licences to import."""

import os

import schemathesis
from hypothesis import strategies as st

# Keys of licences that the host has, one a line.
KEYS = os.environ["COUNTERSIGN_KEYS"].splitlines()

label = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}[A-Za-z0-9])?", fullmatch=True)
# No public suffix, under which a licence cannot be issued.
name = st.lists(label, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
domain = name | st.ip_addresses().map(str)

schemathesis.openapi.format("license-key", st.sampled_from(KEYS) | st.text(st.characters(codec="ascii"), min_size=1, max_size=512))
schemathesis.openapi.format("domain", domain | name.map(lambda name: f"{name}:443") | st.just("bücher.example"))
schemathesis.openapi.format("domain-rule", domain | name.map(lambda name: f"*.{name}"))
