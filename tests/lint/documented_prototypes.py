#!/usr/bin/python3
"""Every prototype in a product header has a comment right above it or on its line (style rule 16).

Inline functions count as well. The comment above must stand on lines of its own: the remark behind another
declaration does not count.
"""

import re
import sys

import sources

WORDS_MIN = 2
SKIPPED = re.compile(r"\s*(_Static_assert|static_assert)\b")
FUNCTION = re.compile(r"\b(?!__attribute__\b|EC_)([A-Za-z_]\w*)\s*\(\s*(?!\*)")


def declarations(code):
    """(begin, end, text) of each declaration at file scope; bodies are left out of the text."""
    begin, depth, i = 0, 0, 0
    outside = []
    while i < len(code):
        c = code[i]
        if c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            # A function's body ends the declaration; a struct's is followed by ';'.
            if depth == 0 and re.search(r"\)[\s\w()]*$", "".join(outside)):
                yield begin, i, "".join(outside)
                begin, outside = i + 1, []
        elif depth == 0 and c == ";":
            yield begin, i, "".join(outside)
            begin, outside = i + 1, []
        elif depth == 0:
            outside.append(c)
        i += 1


def prototype_name(text):
    """The name that the declaration text declares as a function; None otherwise."""
    if SKIPPED.match(text) or "(" not in text:
        return None
    if re.match(r"\s*typedef\b", text) or "=" in text:
        return None
    function = FUNCTION.search(text)
    return function[1] if function else None


def is_comment(text, begin, end):
    return len(re.findall(r"\w+", text[begin:end])) >= WORDS_MIN


def is_documented(text, begin, end):
    """Is there a comment on the lines of text[begin:end], or alone on the lines right above?"""
    first, last = sources.line_of(text, begin), sources.line_of(text, end)
    for c_begin, c_end in sources.comments(text):
        if not is_comment(text, c_begin, c_end):
            continue
        line, line_end = sources.line_of(text, c_begin), sources.line_of(text, c_end)
        alone = text[text.rfind("\n", 0, c_begin) + 1:c_begin].strip() == ""
        if (c_begin > begin and line <= last) or (alone and line_end == first - 1):
            return True
    return False


def check_file(root, name):
    """(number of prototypes, problems) of one header."""
    text = sources.read(root, name)
    code = sources.blank_directives(sources.blank(text))
    count, problems = 0, []
    for begin, end, declaration in declarations(code):
        found = prototype_name(declaration)
        if not found:
            continue
        count += 1
        begin += len(code[begin:end]) - len(code[begin:end].lstrip())
        if not is_documented(text, begin, end):
            problems.append(f"{name}:{sources.line_of(text, begin)}: {found} has no comment")
    return count, problems


def main():
    root = sources.root_from_argv()
    count, problems = 0, []
    for name in sources.c_files(root, (".h",)):
        if name.split("/")[0] in sources.PRODUCT_FOLDERS:
            more, wrong = check_file(root, name)
            count += more
            problems += wrong
    return sources.report("documented prototypes", problems, count)


if __name__ == "__main__":
    sys.exit(main())
