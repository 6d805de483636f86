# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, and when: made from a seed, printed, and made smaller.

A plan is plain data (JSON). In one epoch at most R-1 nodes fail, each in one
way after the other; then all are mended, the web servers have noticed, and
somebody has seen R copies of every session, before the next epoch begins.
"""

import random

NODES = 4

# What a node or the path to it may do: (word for the fault, on which path)
NODE_FAULTS = ("kill", "freeze", "restart", "flush")
PATH_FAULTS = ("cut", "stall", "hole", "mute", "delay 0.4", "trickle 0.002",
               "truncate", "corrupt", "corrupt-up", "garbage")
EPOCH = 5.0                   # seconds in which things fail


def make_plan(seed, replicas, seconds, clients=8, users=5):
    draw = random.Random(seed)
    epochs = []
    for _ in range(max(1, round(seconds / (EPOCH + 2.5)))):
        bad = draw.sample(range(NODES), draw.randint(
            1 if draw.random() < 0.9 else 0, replicas - 1)
            if replicas > 1 else 0)
        epochs.append({"bad": bad, "steps": make_steps(draw, bad)})
    return {"seed": seed, "replicas": replicas, "clients": clients,
            "users": users, "seconds": seconds, "epochs": epochs}


def make_steps(draw, bad):
    """[[when, word, node or host, host or None], …] by time."""
    steps = []
    for node in bad:
        at = draw.uniform(0, 1.5)
        while at < EPOCH - 1:
            if draw.random() < 0.5:
                step = [at, draw.choice(NODE_FAULTS), node, None]
            else:
                step = [at, draw.choice(PATH_FAULTS), node,
                        draw.choice((0, 1, None))]
            steps.append(step)
            at += draw.uniform(0.8, 2.5)
            if at < EPOCH:
                steps.append([at, "mend", node, None])
            at += draw.uniform(0.1, 1.0)
    if draw.random() < 0.4:
        steps.append([draw.uniform(0, EPOCH), "graceful", None,
                      draw.randrange(2)])
    if draw.random() < 0.5:
        steps.append([draw.uniform(0, EPOCH), "kill-child", None,
                      draw.randrange(2)])
    return sorted(steps, key=lambda step: step[0])


def apply(step, world, draw):
    """Carry out one step; True when it is a fault of a node."""
    _, word, number, host = step
    if word == "graceful":
        world.servers[host].graceful()
    elif word == "kill-child":
        world.kill_a_child(host, draw)
    elif word in NODE_FAULTS or word == "mend":
        apply_to_node(word, number, world)
    else:
        for h, relays in enumerate(world.relays):
            if host in (None, h):
                relays[number].behave(word)


def apply_to_node(word, number, world):
    node = world.nodes[number]
    if word == "mend":
        for relays in world.relays:
            relays[number].heal()
        if not node.is_running():
            node.start()
        elif node.frozen:
            node.thaw()
    elif word == "freeze":
        node.freeze()
    elif word == "flush":
        node.flush()
    else:
        node.kill9()
        if word == "restart":
            node.start()


def smaller(plan):
    """Plans that are like this one, with less in them."""
    for i in range(len(plan["epochs"])):
        if len(plan["epochs"]) > 1:
            yield {**plan, "epochs": plan["epochs"][:i]
                   + plan["epochs"][i + 1:]}
    for i, epoch in enumerate(plan["epochs"]):
        for word in ("graceful", "kill-child"):
            left = [s for s in epoch["steps"] if s[1] != word]
            if len(left) < len(epoch["steps"]):
                yield with_epoch(plan, i, {**epoch, "steps": left})
        for node in epoch["bad"]:
            yield with_epoch(plan, i, {
                "bad": [n for n in epoch["bad"] if n != node],
                "steps": [s for s in epoch["steps"] if s[2] != node]})
    for key in ("clients", "users"):
        if plan[key] > 1:
            yield {**plan, key: plan[key] // 2}


def with_epoch(plan, number, epoch):
    epochs = list(plan["epochs"])
    epochs[number] = epoch
    return {**plan, "epochs": epochs}
