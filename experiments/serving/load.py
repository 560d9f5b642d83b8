"""What a server takes: 32 clients at once, 1 file in 100 damaged, beside the bare network on the same cores.

`python experiments/serving/load.py RUN IMAGES [seconds] [clients]`; the README has what it said.
"""

import http.client
import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from graft.models import Bundle, load_bundle
from graft.serve.batching import best_size

# Of 100 files, this many are damaged.
BAD = 1
BOUNDARY = "graft-load"


def main() -> None:
    """Measure the bare network, then the server, then the bare network again."""
    run, images = sys.argv[1], sorted(Path(sys.argv[2]).rglob("*.jpg"))[:200]
    seconds, clients = (
        (float(sys.argv[3]) if len(sys.argv) > 3 else 600.0),
        int(sys.argv[4]) if len(sys.argv) > 4 else 32,
    )
    bundle = load_bundle(run)
    size = best_size(lambda count: bundle.probabilities(bundle.transform.blank(count)))
    before = bare_rate(bundle, size)
    command = [sys.executable, "-m", "graft", "serve", f"run={run}", "port=0", "accelerator=cpu"]
    with subprocess.Popen([*command, f"batch_size={size}"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        port = int(server.stdout.readline().rpartition(":")[2])
        told = load(port, server.pid, [path.read_bytes() for path in images], seconds, clients)
        server.terminate()
    after = bare_rate(bundle, size)
    bare = (before + after) / 2
    told |= {"batch": size, "bare/s": round(bare, 1), "of bare": round(told["answers/s"] / bare, 2)}
    for key, value in told.items():
        print(f"{key:>24}  {value}")


def bare_rate(bundle: Bundle, size: int, seconds: float = 10.0) -> float:
    """Samples a second of the network alone, at its best batch; nothing is read or prepared."""
    inputs = bundle.transform.blank(size)
    bundle.probabilities(inputs)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        bundle.probabilities(inputs)
        count += size
    return count / (time.perf_counter() - began)


def load(port: int, server: int, files: list[bytes], seconds: float, clients: int) -> dict[str, Any]:
    """Ask for so long with so many clients; what came of it."""
    bodies = [body_of(content) for content in files]
    bad = [body_of(content[: len(content) // 3]) for content in files[:20]] + [body_of(b"no image")]
    took: list[float] = []
    statuses: Counter[object] = Counter()
    wrong = Counter[str]()
    memory: list[tuple[float, float]] = []
    asked = itertools.count(1)
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        stream = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        while time.monotonic() < end:
            damaged = next(asked) % 100 < BAD
            began = time.perf_counter()
            try:
                connection.request("POST", "/predict", stream.choice(bad if damaged else bodies), headers)
                response = connection.getresponse()
                content = response.read()
            except OSError as error:
                statuses[type(error).__name__] += 1
                connection.close()
                continue
            took.append(time.perf_counter() - began)
            statuses[response.status] += 1
            if response.status == 200:
                (result,) = json.loads(content)["results"]
                wrong["damaged, told" if damaged and "error" in result else "answered"] += 1
                if ("error" in result) != damaged:
                    wrong["told wrongly"] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(2.0, seconds / 10))
        memory.append((time.monotonic() - began, resident(server)))
    lasted = time.monotonic() - began
    half = memory[len(memory) // 4 :]
    slope = np.polyfit([at for at, _ in half], [used for _, used in half], 1)[0] if len(half) > 2 else 0.0
    return {
        "seconds": round(lasted),
        "clients": clients,
        "answers": len(took),
        "answers/s": round(len(took) / lasted, 1),
        "statuses": dict(statuses),
        "of files": dict(wrong),
        **{f"p{p} ms": round(1000 * float(np.percentile(took, p))) for p in (50, 95, 99)},
        "MB at a quarter, at the end": (round(half[0][1]), round(memory[-2][1])),
        "MB a minute": round(60 * float(slope), 2),
    }


def body_of(content: bytes) -> bytes:
    """A request with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def resident(process: int) -> float:
    """MB that a process has in memory; Linux alone says it so."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
