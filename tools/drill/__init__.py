# SPDX-License-Identifier: Apache-2.0
"""What session-ha-drill is made of: see its --help, and the manual page.

plan    the plan file, read and judged
ways    how a target is taken away and brought back
relay   the small TCP relay that can be slow, cut or hung
rounds  which faults, when; and when the site is whole again
users   those who log in, fill a basket, look and log out
judge   what each of them must see
report  the verdict: text, SVG, HTML
run     all of it together
"""
