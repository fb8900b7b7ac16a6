# shellcheck shell=bash
# Secrets of the lab: made once, kept in $RUN/secret, readable by their user only.

# Print the secret <name>, 256 random bits in hex; made when it is not there.
secret_get() {
	local file=$RUN/secret/$1
	if [[ ! -s $file ]]; then
		(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$file.new" && mv "$file.new" "$file")
	fi
	cat "$file"
}

# Keep $2 as secret <name>.
secret_put() {
	(umask 077 && printf '%s\n' "$2" >"$RUN/secret/$1.new" && mv "$RUN/secret/$1.new" "$RUN/secret/$1")
}
