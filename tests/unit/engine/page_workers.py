"""Stand-ins for the process that renders PDF pages: scripts that do what a test wants."""

from __future__ import annotations

from ocrdet.engine.pages import PageLimits

PATIENT = PageLimits(seconds=20.0, memory_bytes=1 << 30)
# Stands for the real worker: the first message is the document, and says in Python how to answer the others.
WORKER = """
import json, os, struct, sys, time
def read():
    length = sys.stdin.buffer.read(8)
    return sys.stdin.buffer.read(*struct.unpack(">Q", length)) if length else os._exit(0)
def write(data, pixels=b""):
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    os.write(1, struct.pack(">Q", len(text)) + text)
    while pixels:
        pixels = pixels[os.write(1, pixels):]
document = read()
write({"pages": 3})
while True:
    request = json.loads(read())
    exec(document)
"""
HONEST = """
if "size" in request:
    write({"size": [300.0, 200.0]})
else:
    index, width, height = request["render"]
    write({}, bytes([index]) * (width * height * 3))
"""


def failing(page: int, what: str) -> str:
    """An honest worker that does something else when it renders one page."""
    return f"if request.get('render', [None])[0] == {page}:\n    {what}\nelse:\n" + "\n".join(
        f"    {line}" for line in HONEST.splitlines()
    )
