# SPDX-License-Identifier: Apache-2.0
"""Holds what clients saw of a session against what was promised.

Sound: what is called a violation cannot happen in a history that keeps the
promises. What the checks rest on:

* A request happens between its sending and its answer. Without an answer
  its change may come at any time, or never.
* A change is *settled* when all R copies were proved: by its own save ("2/2")
  or by the load of a later reader that saw it on all R. From then on every
  load sees it or a change with a higher stamp.
* Changes of one attribute have a total order, their stamps. One is before
  another when it was over, or settled, before the other was sent: stamps are
  taken from one clock, and are above all that was seen. And a load that saw
  one while another was settled tells that the other is before it. These
  edges must not run in a circle. A stale read, a lost write and a value that
  comes and goes are circles.
* Times in which more nodes failed than the plan says prove nothing: what
  spans them is excused where the promise rests on the number of failures.
"""

from record import NEVER

TWINS = ("p", "q")         # attributes that are always written together


class Violation:
    def __init__(self, kind, text, session, ops, begin, end, excusable=True):
        self.kind = kind
        self.text = text
        self.session = session
        self.ops = sorted({op.number: op for op in ops if op}.values(),
                          key=lambda op: op.invoked)
        self.begin = begin
        self.end = end
        self.excusable = excusable

    def __str__(self):
        lines = "\n".join(f"  {op}" for op in self.ops)
        return (f"{self.kind}: session {self.session.number}: {self.text}\n"
                f"{lines}")


class Write:
    """One change of one attribute."""

    def __init__(self, op, value, invoked, returned):
        self.op = op
        self.value = value
        self.invoked = invoked
        self.returned = returned
        self.settled = NEVER

    def is_before(self, other):
        return min(self.returned, self.settled) < other.invoked


def may_write(op, session):
    """Whether this request can have changed this session.

    "nothing" after a hit: it ended while this was written; between the two
    others can have seen the change.
    """
    if op.created is not None:
        return op.created is session
    return (op.session is session and op.load in (None, "hit")
            and op.save != "unchanged")


def writes_of(session, name, replicas):
    """Changes of an attribute; the first is that it was not there."""
    writes = [Write(None, None, -NEVER, session.born.invoked)]
    for op in session.ops:
        if name in op.sets and may_write(op, session):
            write = Write(op, op.sets[name], op.invoked, op.returned)
            if op.is_full(op.save, replicas):
                write.settled = op.returned
            writes.append(write)
    return writes


def readers_of(session):
    return [op for op in session.ops
            if op.session is session and op.load == "hit"
            and op.seen is not None]


def settle_by_readers(writes, readers, name, replicas):
    by_value = {w.value: w for w in writes if w.value is not None}
    for op in readers:
        write = by_value.get(op.seen.get(name))
        if write and op.is_full(op.copies, replicas):
            write.settled = min(write.settled, op.returned)


def ends_of(session):
    """Logouts that may have happened."""
    return [op for op in session.ops if op.kind == "logout"
            and op.session is session and may_write(op, session)]


# ---- values -----------------------------------------------------------------

def judge_values(session, names, replicas):
    """Nobody sees what nobody wrote, or half of what was written at once."""
    written = {name: {w.value: w for w in writes_of(session, name, replicas)}
               for name in names}
    for op in readers_of(session):
        for name, value in op.seen.items():
            write = written.get(name, {}).get(value)
            if write is None or write.invoked > op.returned:
                yield Violation(
                    "unwritten", f"{name} is {value}, which nobody had "
                    f"written", session,
                    [op] + [o for o in session.ops
                            if value in o.sets.values()],
                    op.invoked, op.returned, excusable=False)
        if op.seen.get(TWINS[0]) != op.seen.get(TWINS[1]):
            yield Violation(
                "torn", f"{TWINS[0]} and {TWINS[1]} are of different writes",
                session, [op], op.invoked, op.returned, excusable=False)


# ---- the order of writes ----------------------------------------------------

def read_edges(writes, readers, name):
    """(index, index) -> the read that tells that one write is before another.

    An attribute that is not there may be so for several reasons; that only
    tells something when it cannot be so for any of them.
    """
    by_value = {w.value: i for i, w in enumerate(writes)
                if w.value is not None}
    gone = [i for i, w in enumerate(writes) if w.value is None]
    edges = {}
    for op in readers:
        value = op.seen.get(name)
        settled = [i for i, w in enumerate(writes)
                   if w.settled < op.invoked]
        if value is not None:
            if value in by_value:
                latest = by_value[value]
                for i in settled:
                    if i != latest:
                        edges.setdefault((i, latest), op)
            continue
        candidates = [g for g in gone if writes[g].invoked < op.returned]
        refuted = []
        for g in candidates:
            newer = [i for i in settled
                     if i != g and writes[g].is_before(writes[i])]
            if not newer:
                break
            refuted.append((newer[0], g))
        else:
            edges.update({pair: op for pair in refuted})
    return edges


def find_circle(writes, edges):
    """Indexes of writes, the first again at the end; None when there is
    none. The shortest that goes through an edge of a read."""
    nodes = sorted({i for pair in edges for i in pair})
    nexts = {i: [j for j in nodes if i != j and
                 ((i, j) in edges or writes[i].is_before(writes[j]))]
             for i in nodes}
    ins = {i: 0 for i in nodes}
    for i in nodes:
        for j in nexts[i]:
            ins[j] += 1
    free = [i for i in nodes if ins[i] == 0]
    done = 0
    while free:
        done += 1
        for j in nexts[free.pop()]:
            ins[j] -= 1
            if ins[j] == 0:
                free.append(j)
    if done == len(nodes):
        return None
    found = None
    for a, b in edges:
        path = shortest(nexts, b, a)
        if path and (found is None or len(path) + 1 < len(found)):
            found = [a] + path
            if len(found) == 3:
                break
    return found


def shortest(nexts, start, goal):
    came = {start: None}
    queue = [start]
    for node in queue:
        if node == goal:
            path = []
            while node is not None:
                path.append(node)
                node = came[node]
            return path[::-1]
        for follower in nexts[node]:
            if follower not in came:
                came[follower] = node
                queue.append(follower)
    return None


def judge_order(session, name, replicas):
    writes = writes_of(session, name, replicas)
    readers = readers_of(session)
    settle_by_readers(writes, readers, name, replicas)
    edges = read_edges(writes, readers, name)
    circle = find_circle(writes, edges)
    if circle is None:
        return
    ops = []
    words = []
    for i, j in zip(circle, circle[1:]):
        reader = edges.get((i, j))
        why = f"op {reader.number} saw the latter" if reader \
            else "by the clock"
        ops += [writes[i].op, writes[j].op, reader]
        words.append(f"{writes[i].value} before {writes[j].value}: {why}")
    times = [op.invoked for op in ops if op]
    ends = [op.returned for op in ops if op and op.returned != NEVER]
    yield Violation("stale", f"{name}: " + "; ".join(words), session, ops,
                    min(times), max(ends))


# ---- the whole session ------------------------------------------------------

def judge_life(session, replicas):
    """It is there from its first settled sight to a logout, and no longer."""
    ends = ends_of(session)
    alive = [op.returned for op in session.ops
             if (op.created is session and op.is_full(op.save, replicas))
             or (op.session is session and op.load == "hit"
                 and op.is_full(op.copies, replicas))]
    begun = min(alive, default=NEVER)
    acked = min((op for op in ends if op.is_full(op.save, replicas)),
                key=lambda op: op.returned, default=None)
    for op in session.ops:
        if op.session is not session or op.load is None:
            continue
        may_be_over = any(e.invoked < op.returned for e in ends)
        if op.load == "hit" and acked and op.invoked > acked.returned:
            yield Violation("revived", "a session that was logged out lives",
                            session, [acked, op], acked.invoked, op.returned)
        if op.load == "miss" and op.invoked > begun and not may_be_over:
            yield Violation("lost", "a stored session is not there", session,
                            [session.born, op], begun, op.returned)
        if op.cookie != "kept" and op.load in ("hit", "unknown") \
                and not may_be_over:
            yield Violation("stranger", f"the cookie of a living session is "
                            f"{op.cookie}", session, [op], op.invoked,
                            op.returned, excusable=False)


def judge_answers(session):
    for op in session.ops:
        good = (op.status == 200 and op.load in ("hit", "miss", "none")
                or op.status == 503 and op.load == "unknown")
        if op.status is not None and not good:
            yield Violation("answer", f"status {op.status}, load {op.load}",
                            session, [op], op.invoked, op.returned,
                            excusable=False)


def judge(history, session):
    """(violations, excused ones) of a session."""
    names = sorted({name for op in session.ops for name in op.sets}
                   | {name for op in session.ops for name in op.seen or ()})
    found = list(judge_values(session, names, history.replicas))
    found += judge_life(session, history.replicas)
    found += judge_answers(session)
    for name in names:
        found += judge_order(session, name, history.replicas)
    excused = [v for v in found if v.excusable
               and history.is_excused(v.begin, v.end)]
    return [v for v in found if v not in excused], excused
