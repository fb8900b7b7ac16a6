# shellcheck shell=bash
# The state directory of this clone: RUN, reached as .run.
#
# It must be a place that the database's user can reach and whose path fits into a socket address
# (107 bytes). Where the clone is not such a place (under /root, or very deep), the state is in
# /var/tmp/edgecap.<hash of the clone's path> and .run is a link to it.

readonly STATE_SOCKET_PATH_MAX=107

# Set RUN for the clone in $1. Creates nothing.
state_locate() {
	local link=$1/.run hash
	if [[ -L $link ]]; then
		RUN=$(readlink "$link")
	elif [[ -d $link ]] || state_reachable "$1"; then
		RUN=$link
	else
		hash=$(printf '%s' "$1" | sha256sum)
		RUN=/var/tmp/edgecap.${hash:0:12}
	fi
}

# True when another user can enter directory $1 and a socket below its .run has a legal path.
state_reachable() {
	local socket=$1/.run/socket/.s.PGSQL.5432
	((${#socket} <= STATE_SOCKET_PATH_MAX)) || return 1
	((EUID == 0)) || return 0
	setpriv --reuid=nobody --regid=nogroup --clear-groups -- test -x "$1"
}

# Make RUN and what is below it; needs state_locate.
state_create() {
	local link=$1/.run
	if [[ $RUN != "$link" ]]; then
		# Its name can be guessed and /var/tmp is everybody's: it must be ours, and no link.
		mkdir -m 0755 "$RUN" 2>/dev/null || [[ -d $RUN && ! -L $RUN && -O $RUN ]] ||
			die "$RUN exists and is somebody else's: remove it"
		ln -sfn "$RUN" "$link"
	fi
	mkdir -p "$RUN"/{pid,log,socket,spool,secret}
	chmod 0755 "$RUN" "$RUN"/{pid,log,socket,spool}
	chmod 0700 "$RUN/secret"
}

# Remove everything but the logs; with $2 = all, the logs as well.
state_remove() {
	local link=$1/.run
	[[ -d $RUN ]] || return 0
	if [[ ${2-} == all ]]; then
		rm -rf -- "$RUN"
		[[ ! -L $link ]] || rm -f -- "$link"
	else
		find "$RUN" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf -- {} +
	fi
}
