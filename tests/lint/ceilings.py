#!/usr/bin/python3
"""Ceilings of style rule 8: lines of a file and a function, depth of nesting, parameters.

clang-tidy (preset tidy) measures the same on the syntax tree of the product's code; this is quick and sees
tests as well.
"""

import re
import sys

import sources

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
NESTING_MAX = 4
PARAMETERS_MAX = 6

# No signature or condition is longer: how far to look back from a brace or semicolon.
LOOK_BACK_CHARS = 3000

BLOCK_WORDS = ("else", "do")
# "return (struct x){...}" and the like: a word in front of a parenthesis that is no block's.
LITERAL_WORDS = ("return", "sizeof", "case")
TRAILING_ATTRIBUTE = re.compile(r"(__attribute__\s*\(\(.*?\)\)|EC_\w+(\s*\([^()]*\))?)\s*$", re.S)


def opens_block(code, brace):
    """Does the '{' at brace open a block of statements rather than an initialiser or a type?"""
    before = code[max(0, brace - LOOK_BACK_CHARS):brace].rstrip()
    if not before or before[-1] in ";{}:":
        return True
    if before[-1] == ")":
        paren = sources.matching_paren(before, len(before) - 1)
        word = re.search(r"(\w+)\s*$", before[:max(paren, 0)])
        return bool(word) and word[1] not in LITERAL_WORDS
    word = re.search(r"(\w+)$", before)
    return bool(word) and word[1] in BLOCK_WORDS


def count_parameters(inside):
    """Parameters in the text between a function's parentheses; "..." is not counted."""
    depth, parts = 0, [""]
    for c in inside:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(c, 0)
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    parts = [p.strip() for p in parts]
    return len([p for p in parts if p not in ("", "void", "...")])


def signature(code, end):
    """(begin, name, parameters) of the function whose parameter list ends in front of end; None if none does."""
    skipped = max(0, end - LOOK_BACK_CHARS)
    head = code[skipped:end].rstrip()
    while TRAILING_ATTRIBUTE.search(head):
        head = TRAILING_ATTRIBUTE.sub("", head).rstrip()
    if not head.endswith(")"):
        return None
    paren = sources.matching_paren(head, len(head) - 1)
    name = re.search(r"(\w+)\s*$", head[:max(paren, 0)])
    if not name:
        return None
    begin = max(head.rfind(c, 0, name.start()) for c in ";}") + 1
    begin += len(head[begin:]) - len(head[begin:].lstrip())
    return skipped + begin, name[1], count_parameters(head[paren + 1:-1])


def check_functions(name, code):
    """(number of functions, problems) of blanked code: definitions, and prototypes for their parameters."""
    count, problems = 0, []
    # Inside the outermost braces: is each open brace a block? depth 0 is file scope.
    blocks, current = [], None
    for i, c in enumerate(code):
        if c == "{":
            if not blocks:
                current = signature(code, i)
                blocks.append(bool(current))
            else:
                blocks.append(blocks[-1] and opens_block(code, i))
                if current and blocks[-1] and sum(blocks) - 1 > NESTING_MAX:
                    problems.append(f"{name}:{sources.line_of(code, i)}: {current[1]} nests blocks "
                                    f"{sum(blocks) - 1} deep, ceiling {NESTING_MAX}")
        elif c == "}" and blocks:
            blocks.pop()
            if not blocks and current:
                count += 1
                first, last = sources.line_of(code, current[0]), sources.line_of(code, i)
                if last - first + 1 > FUNCTION_LINES_MAX:
                    problems.append(f"{name}:{first}: {current[1]} has {last - first + 1} lines, "
                                    f"ceiling {FUNCTION_LINES_MAX}")
        if (c == ";" and not blocks) or (c == "{" and len(blocks) == 1 and current):
            found = signature(code, i)
            if found and found[2] > PARAMETERS_MAX:
                problems.append(f"{name}:{sources.line_of(code, found[0])}: {found[1]} has {found[2]} "
                                f"parameters, ceiling {PARAMETERS_MAX}")
    return count, problems


def main():
    root = sources.root_from_argv()
    count, problems = 0, []
    for name in sources.list_files(root):
        if not name.endswith((".c", ".h", ".py")):
            continue
        text = sources.read(root, name)
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            problems.append(f"{name}:1: {lines} lines, ceiling {FILE_LINES_MAX}")
        if name.endswith((".c", ".h")):
            more, wrong = check_functions(name, sources.blank_directives(sources.blank(text)))
            count += more
            problems += wrong
    return sources.report("ceilings: functions", problems, count)


if __name__ == "__main__":
    sys.exit(main())
