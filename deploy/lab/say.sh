# shellcheck shell=bash
# What the lab tells its user: progress on stdout, trouble on stderr.

# One line of progress with the seconds since the start.
say() {
	printf '[%3ds] %s\n' "$SECONDS" "$*"
}

# A line about trouble that does not end the run.
warn() {
	printf 'quickstart: %s\n' "$*" >&2
}

# Say what is wrong and end with exit code 1 (the caller's EXIT trap cleans up).
die() {
	warn "$*"
	exit 1
}

# Print a command as a user would type it, then run it.
show() {
	printf '\n$ %s\n' "$1"
	eval "$1"
}
