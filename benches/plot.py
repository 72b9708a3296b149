"""Draws the figures of `make bench`: `python plot.py RESULT SVG`."""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "start"  # the same figures give the same file

result, target = sys.argv[1:]
peers = sorted(json.load(open(result))["peers"], key=lambda peer: -peer["cold"]["median"])
names = [peer["name"] for peer in peers]
medians = [peer["cold"]["median"] for peer in peers]
spread = [
    [peer["cold"]["median"] - peer["cold"]["low"] for peer in peers],
    [peer["cold"]["high"] - peer["cold"]["median"] for peer in peers],
]
figure, axes = plt.subplots(figsize=(8, 2.4), layout="constrained")
colours = ["#b7410e" if name == "this function" else "#8a949e" for name in names]
axes.barh(names, medians, xerr=spread, color=colours, ecolor="#30363d", capsize=3, height=0.6)
axes.set_xscale("log")
axes.set_xlim(left=min(medians) / 3)
axes.set_xlabel("process start → Disconnect arrives, ms (logarithmic; median, and where nine of ten lie)")
for name, median, high in zip(names, medians, spread[1]):
    axes.annotate(f"{median:.0f} ms", (median + high, name), xytext=(6, 0), textcoords="offset points", va="center")
axes.set_xlim(right=max(medians) * 3)
for side in ("top", "right"):
    axes.spines[side].set_visible(False)
figure.savefig(target, metadata={"Date": None})
