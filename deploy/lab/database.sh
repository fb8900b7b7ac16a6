# shellcheck shell=bash
# A private PostgreSQL cluster: data in $RUN/database, a unix socket in $RUN/socket, no TCP.
#
# It runs as the user `postgres` when we are root (it refuses to be root), else as ourselves. Everybody who
# connects gives a password. As in a real installation nothing of edgecap is the superuser: edgecap_owner owns the database and
# migrates it, everything else is done by roles with few rights.

readonly DATABASE_SUPERUSER=postgres DATABASE_OWNER=edgecap_owner DATABASE_NAME=edgecap

# Print PostgreSQL's program directory, the newest version's.
database_bindir() {
	local dir
	dir=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
	[[ -x $dir/postgres ]] || die "PostgreSQL's server is not installed: run deploy/install-packages"
	printf '%s\n' "$dir"
}

# Set DATABASE_AS: the words that make a command run as the cluster's user, in a directory that it can enter.
database_user() {
	DATABASE_AS=(env --chdir=/)
	((EUID != 0)) || DATABASE_AS+=(setpriv --reuid=postgres --regid=postgres --init-groups --)
}

# Make the cluster unless it is there. DATABASE_FSYNC=off makes it faster and is for tests.
database_create() {
	local bin data=$RUN/database
	[[ ! -f $data/PG_VERSION ]] || return 0
	bin=$(database_bindir)
	database_user
	rm -rf -- "$data" "$RUN/socket"
	mkdir -p "$data" "$RUN/socket"
	chmod 0700 "$data"
	secret_get database-superuser >"$RUN/secret/initdb"
	if ((EUID == 0)); then
		chown postgres:postgres "$data" "$RUN/socket"
		mv "$RUN/secret/initdb" "$RUN/socket/initdb"
		chown postgres:postgres "$RUN/socket/initdb"
	else
		mv "$RUN/secret/initdb" "$RUN/socket/initdb"
	fi
	chmod 0600 "$RUN/socket/initdb"
	process_step initdb "${DATABASE_AS[@]}" "$bin/initdb" --pgdata "$data" \
		--username "$DATABASE_SUPERUSER" --pwfile "$RUN/socket/initdb" --auth scram-sha-256 \
		--encoding UTF8 --locale C.UTF-8 --no-sync || die "initdb failed, see $RUN/log/initdb.log"
	rm -f -- "$RUN/socket/initdb"
	database_configure >>"$data/postgresql.conf"
}

# Print the lines added to the cluster's configuration.
database_configure() {
	cat <<-END
		listen_addresses = ''
		unix_socket_directories = '$RUN/socket'
		max_connections = 200
		timezone = 'UTC'
		log_timezone = 'UTC'
		fsync = ${DATABASE_FSYNC:-on}
		shared_buffers = 64MB
		log_line_prefix = '%m [%p] %q%u '
	END
}

# Start the server and wait until it answers.
database_start() {
	local bin
	bin=$(database_bindir)
	database_user
	process_start database "${DATABASE_AS[@]}" "$bin/postgres" -D "$RUN/database"
	process_await database 300 "$bin/pg_isready" --quiet --host "$RUN/socket"
}

# Print the URL for role $1, whose password is the secret database-<role, "edgecap_" removed>.
database_url() {
	local role=$1
	printf 'postgresql://%s:%s@/%s?host=%s\n' "$role" "$(secret_get "database-${role#edgecap_}")" \
		"$DATABASE_NAME" "$(database_percent "$RUN/socket")"
}

# Print $1 percent-encoded (RFC 3986), slashes kept.
database_percent() {
	local LC_ALL=C text=$1 c i
	for ((i = 0; i < ${#text}; i++)); do
		c=${text:i:1}
		case $c in
		[a-zA-Z0-9/._~-]) printf '%s' "$c" ;;
		*) printf '%%%02X' "'$c" ;;
		esac
	done
}

# Run psql as the superuser, whom no row-level policy binds, with arguments; SQL from stdin or -c.
database_psql() {
	PGPASSWORD=$(secret_get database-superuser) "$(database_bindir)/psql" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
		--host "$RUN/socket" --username "$DATABASE_SUPERUSER" "$@"
}

# Make the database, apply the migrations with $1/edgecap-admin as its owner, and let the programs' roles log in.
database_prepare() {
	local role
	database_psql --dbname postgres <<-END
		CREATE ROLE $DATABASE_OWNER LOGIN CREATEROLE PASSWORD '$(secret_get database-owner)';
		CREATE DATABASE $DATABASE_NAME OWNER $DATABASE_OWNER;
	END
	EDGECAP_DATABASE_URL=$(database_url "$DATABASE_OWNER") "$1/edgecap-admin" migrate >"$RUN/log/migrate.log" 2>&1 ||
		die "edgecap-admin migrate failed: $(tail -n 3 "$RUN/log/migrate.log")"
	for role in edgecap_api edgecap_assembler edgecap_admin; do
		printf "ALTER ROLE %s LOGIN PASSWORD '%s';\n" "$role" "$(secret_get "database-${role#edgecap_}")"
	done | database_psql --dbname "$DATABASE_NAME"
}
