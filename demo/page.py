# SPDX-License-Identifier: Apache-2.0
"""The shop's one page: HTML for any screen, no script, everything escaped.

The words between <!--# and --> are for mod_include in the web server: only
there it is known why the router chose this clone.
"""

import html

GOODS = {
    "tea": ("Green tea", "100 g, first flush", 650),
    "cup": ("Stone cup", "keeps the tea warm", 1200),
    "book": ("Long novel", "goes well with both", 1890),
}

# what CLONE_REASON says, for people
REASONS = {
    "new": "you were new, so it was its turn",
    "first": "your session cookie names it first",
    "next": "those your cookie names before it are away",
    "redirect": "it took over for the clone of your session",
    "failover": "the clones your cookie names are away",
    "unknown": "your cookie names nobody the router knows",
}

STYLE = """
*{box-sizing:border-box}
body{margin:0;font:17px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Liberation Sans",sans-serif;background:#f5f3ee;color:#22302b}
header{background:#1f5d4c;color:#fff}
.wide{max-width:58rem;margin:0 auto;padding:0 1rem}
header .wide{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;
justify-content:space-between;padding-top:.8rem;padding-bottom:.8rem}
h1{font-size:1.35rem;margin:0;letter-spacing:.01em}
h2{font-size:1.1rem;margin:0 0 .7rem}
form{margin:0}
.login{display:flex;gap:.5rem;align-items:center;flex-wrap:wrap}
input{font:inherit;width:9.5rem;padding:.35rem .6rem;border:1px solid #b9c4be;
border-radius:.5rem;background:#fff;color:#22302b}
button{font:inherit;padding:.4rem .9rem;border:0;border-radius:.5rem;
background:#e0a12b;color:#241a04;font-weight:600;cursor:pointer;
min-height:2.5rem}
button:hover{background:#efb445}
button.small{padding:0;width:2.5rem;background:#e5e9e4;color:#22302b}
button.small:hover{background:#d3dbd4}
:focus-visible{outline:3px solid #e0a12b;outline-offset:2px}
main.wide{display:grid;gap:1rem;grid-template-columns:1fr;
padding-top:1.2rem;padding-bottom:1.2rem}
section{background:#fff;border-radius:.8rem;padding:1rem 1.1rem;
box-shadow:0 1px 3px rgba(31,60,50,.14)}
.goods{display:grid;gap:.8rem}
.goods article{display:grid;grid-template-columns:3.2rem 1fr auto;gap:.9rem;
align-items:center}
.goods article+article{border-top:1px solid #edefeb;padding-top:.8rem}
.tile{width:3.2rem;height:3.2rem;border-radius:.7rem}
.goods h3{margin:0;font-size:1rem}
p{margin:0}
.soft{color:#5b6b64;font-size:.92rem}
table{width:100%;border-collapse:collapse}
td{padding:.35rem 0;vertical-align:middle}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td .pair{display:inline-flex;gap:.5rem;align-items:center}
td .count{min-width:1.6rem;text-align:center;
font-variant-numeric:tabular-nums}
tr.sum td{border-top:2px solid #1f5d4c;font-weight:700;padding-top:.6rem}
dl{display:grid;grid-template-columns:1fr;gap:.8rem;margin:0}
dt{color:#5b6b64;font-size:.92rem}
dd{margin:0;font-weight:600}
dd small{display:block;font-weight:400;font-size:.92rem}
.copies{display:inline-flex;gap:.25rem;vertical-align:-.1em;margin-right:.5rem}
.copies i{width:.95rem;height:.95rem;border-radius:50%;
border:2px solid #1f5d4c}
.copies i.held{background:#1f5d4c}
footer.wide{padding-bottom:2rem}
@media(max-width:32rem){.login{width:100%;justify-content:space-between}
.login input{flex:1}}
@media(min-width:46rem){main.wide{grid-template-columns:1.25fr 1fr}
.behind{grid-column:1/-1}
dl{grid-template-columns:2fr 1fr 1fr 1fr}}
"""

PICTURES = {
    "tea": '<path d="M10 34c0-14 10-22 26-22 0 16-8 26-22 26"/>'
           '<path d="M8 44c4-12 12-20 20-24"/>',
    "cup": '<path d="M12 16h22v14a11 11 0 0 1-22 0z"/>'
           '<path d="M34 20h3a5 5 0 0 1 0 10h-4M10 44h27"/>',
    "book": '<path d="M25 14c-5-4-11-4-16-2v26c5-2 11-2 16 2 5-4 11-4 16-2V'
            '12c-5-2-11-2-16 2v26"/>',
}
COLOURS = {"tea": "#dcead2", "cup": "#f3ddc9", "book": "#d6e3ef"}


def money(cents):
    return f"€\u202f{cents // 100}.{cents % 100:02d}"


def button(path, label, fields, classes="", title=""):
    """A form of one button: works without scripts, changes by POST."""
    hidden = "".join(f'<input type="hidden" name="{html.escape(k)}" '
                     f'value="{html.escape(v)}">' for k, v in fields.items())
    name = f' aria-label="{html.escape(title)}"' if title else ""
    return (f'<form method="post" action="{path}">{hidden}'
            f'<button class="{classes}"{name}>{label}</button></form>')


def login_form(user):
    if user:
        return (f'<div class="login"><span>Hello, <b id="user">'
                f'{html.escape(user)}</b></span>'
                + button("/logout", "Log out", {}) + "</div>")
    return ('<form class="login" method="post" action="/login">'
            '<input name="user" maxlength="30" placeholder="Your name" '
            'aria-label="Your name" required autocomplete="username">'
            '<button>Log in</button></form>')


def goods():
    parts = []
    for key, (name, note, price) in GOODS.items():
        parts.append(
            f'<article><svg class="tile" viewBox="0 0 50 50" aria-hidden='
            f'"true" style="background:{COLOURS[key]}"><g fill="none" '
            f'stroke="#22302b" stroke-width="2.5" stroke-linecap="round" '
            f'stroke-linejoin="round">{PICTURES[key]}</g></svg>'
            f'<div><h3>{name}</h3><p class="soft">{note}<br>{money(price)}'
            f'</p></div>'
            + button("/basket", "Add", {"item": key, "change": "1"},
                     f"add-{key}", f"Add {name}") + "</article>")
    return "".join(parts)


def basket(items):
    rows, total = [], 0
    for key, (name, _, price) in GOODS.items():
        count = items.get(key, 0)
        if not count:
            continue
        total += count * price
        less = button("/basket", "−", {"item": key, "change": "-1"},
                      "small", f"One {name} less")
        more = button("/basket", "+", {"item": key, "change": "1"}, "small",
                      f"One {name} more")
        rows.append(f'<tr data-item="{key}" data-count="{count}">'
                    f'<td>{name}</td><td class="n"><span class="pair">{less}'
                    f'<span class="count">{count}</span>{more}</span></td>'
                    f'<td class="n">{money(count * price)}</td></tr>')
    if not rows:
        return ('<p class="soft" id="empty">Nothing in it yet. Add something, '
                'then kill a server.</p>')
    return (f'<table>{"".join(rows)}<tr class="sum"><td>Together</td><td></td>'
            f'<td class="n">{money(total)}</td></tr></table>')


def reason():
    """Which of the sentences is true, the web server decides."""
    parts = []
    for i, (word, text) in enumerate(REASONS.items()):
        parts.append(f"<!--#{'elif' if i else 'if'} "
                     f"expr=\"v('CLONE_REASON') == '{word}'\" -->{text}")
    return "".join(parts) + "<!--#else -->the router did not say<!--#endif -->"


def copies(text):
    held, _, wanted = (text or "").partition("/")
    if not (held.isdigit() and wanted.isdigit()):
        return "none stored yet"
    held, wanted = min(int(held), 8), min(int(wanted), 8)
    dots = "".join(f'<i class="{"held" if i < held else ""}"></i>'
                   for i in range(max(held, wanted)))
    return (f'<span class="copies" aria-hidden="true">{dots}</span>'
            f'{held} of {wanted}')


def shop(clone, web, copies_text, user, items):
    """The whole page as text."""
    facts = {"data-clone": clone, "data-web": web,
             "data-copies": copies_text or "", "data-user": user}
    attributes = " ".join(f'{k}="{html.escape(v)}"' for k, v in facts.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>The shop that stays open</title><style>{STYLE}</style></head>
<body {attributes}>
<header><div class="wide"><h1>The shop that stays open</h1>
{login_form(user)}</div></header>
<main class="wide">
<section><h2>Goods</h2><div class="goods">{goods()}</div></section>
<section><h2>Your basket</h2>{basket(items)}</section>
<section class="behind"><h2>Behind this page</h2><dl>
<div><dt>Answered by</dt><dd>clone {html.escape(clone)}
<small data-reason="<!--#echo var="CLONE_REASON" -->">{reason()}</small></dd>
</div>
<div><dt>Web server</dt><dd>{html.escape(web)}</dd></div>
<div><dt>Copies of your session</dt><dd>{copies(copies_text)}</dd></div>
<div><dt>Kept in the clone itself</dt><dd>nothing</dd></div>
</dl></section>
</main>
<footer class="wide soft">Kill any one server of this demonstration and load
the page again: the basket stays.</footer>
</body></html>
"""
