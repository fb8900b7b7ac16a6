# shellcheck shell=bash
# Long-running processes of the lab, by pid files.
#
# $RUN/pid/<name> holds "pid start-time"; the start time (field 22 of /proc/<pid>/stat) tells a process of
# ours from a later one with the same number, so nothing is ever ended by a stale file. The file is written by the
# process itself before it becomes the program: there is no moment at which one runs unrecorded.
# Descriptor 9 is the lock of quickstart: no process that outlives it may have it.

# CHILD is the process that was begun and is in nobody's books yet: "new" from before it is forked until its number
# is known, empty when there is none. A signal can come between any two commands.

CHILD=
CHILD_BEFORE=

# Print the start time of pid $1; fails when there is none, or only a zombie.
process_start_time() {
	local stat
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	stat=${stat##*) }
	local -a field
	read -ra field <<<"$stat"
	[[ ${field[0]} != [ZX] ]] || return 1
	printf '%s\n' "${field[19]}"
}

# Start a program: process_start <name> <command...>. Its output goes to $RUN/log/<name>.log. It has a session of
# its own, so that a Ctrl-C at the terminal is not sent to it, and none of our descriptors.
process_start() {
	process_fork "$@"
	until [[ -e $RUN/pid/$1 ]] || ! kill -0 "$CHILD" 2>/dev/null; do sleep 0.01; done
	disown "$CHILD" 2>/dev/null || true # no "Killed" on our terminal; it is in its pid file now
	CHILD=
}

# Begin process <name>; CHILD is its number.
process_fork() {
	local name=$1
	shift
	CHILD_BEFORE=${!:-}
	CHILD=new
	rm -f -- "$RUN/pid/$name"
	# shellcheck disable=SC2016
	setsid bash -c '
		stat=$(<"/proc/$$/stat"); stat=${stat##*) }; read -ra field <<<"$stat"
		echo "$$ ${field[19]}" >"$1.new" && mv "$1.new" "$1" && shift && exec "$@"' \
		process "$RUN/pid/$name" "$@" </dev/null >>"$RUN/log/$name.log" 2>&1 9>&- &
	CHILD=$!
}

# Print the pid of <name> when it runs; fails otherwise.
process_pid() {
	local pid start
	read -r pid start 2>/dev/null <"$RUN/pid/$1" || return 1
	[[ $(process_start_time "$pid") == "$start" ]] || return 1
	printf '%s\n' "$pid"
}

# Send signal $2 to <name> and its session, without waiting.
process_signal() {
	local pid
	pid=$(process_pid "$1") || return 0
	kill -s "$2" -- "-$pid" 2>/dev/null || kill -s "$2" "$pid" 2>/dev/null || true
}

# Send signal $2 to <name>, wait at most $3 tenths of a second, then SIGKILL. Fine when it does not run.
process_stop() {
	local name=$1 signal=${2:-TERM} tenths=${3:-50} pid
	if pid=$(process_pid "$name"); then
		process_signal "$name" "$signal"
		while process_pid "$name" >/dev/null && ((tenths-- > 0)); do
			sleep 0.1
		done
		if process_pid "$name" >/dev/null; then
			warn "$name (pid $pid) did not end, killed"
			process_signal "$name" KILL
			while process_pid "$name" >/dev/null; do sleep 0.05; done
		fi
		# What a step (packages, compiler) has started is in its session still.
		kill -s KILL -- "-$pid" 2>/dev/null || true
	fi
	rm -f -- "$RUN/pid/$name" "$RUN/pid/$name.new"
}

# Names that have a pid file, one per line.
process_names() {
	[[ -d $RUN/pid ]] || return 0
	find "$RUN/pid" -type f ! -name '*.new' -printf '%f\n' | sort
}

# Wait until command $3... succeeds, at most $2 tenths of a second, while process <name> lives.
process_await() {
	local name=$1 tenths=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((tenths-- <= 0)) || ! process_pid "$name" >/dev/null; then
			warn "$name is not ready; the end of its log:"
			tail -n 20 "$RUN/log/$name.log" >&2 || true
			return 1
		fi
		sleep 0.1
	done
}

# Run a command that may take long (packages, compiler) as process <name>, and wait for it. A signal to us is
# acted on at once: process_abort ends all of the command's session.
process_step() {
	local status=0
	process_fork "$@"
	wait "$CHILD" || status=$?
	CHILD=
	rm -f -- "$RUN/pid/$1"
	return "$status"
}

# End the step that runs, with all processes of its session, and a program that is not in its pid file yet.
# Packages are given time to come to rest.
process_abort() {
	[[ $CHILD != new ]] || { [[ ${!:-} == "$CHILD_BEFORE" ]] && CHILD= || CHILD=$!; }
	[[ -n $CHILD ]] || return 0
	local tenths=100
	# Before it has a session of its own there is only the process, afterwards a group as well.
	while kill -s TERM -- "-$CHILD" 2>/dev/null || kill -s TERM "$CHILD" 2>/dev/null; do
		((tenths-- > 0)) || break
		sleep 0.1
	done
	kill -s KILL -- "-$CHILD" 2>/dev/null || true
	wait "$CHILD" 2>/dev/null || true
	CHILD=
}
