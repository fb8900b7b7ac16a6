# shellcheck shell=bash
# Accounts, credentials and samplers of the lab, made with edgecap-admin.

# The demonstration's account owns what its traffic is sent to; the second account may capture everything and has no
# collect interval.
# shellcheck disable=SC2034
readonly TENANT_PREFIXES=5.6.7.0/24,2001:db8:5678::/48
readonly TENANT_EMAIL=ops@example.net

# Run edgecap-admin with --json.
tenant_admin() {
	EDGECAP_DATABASE_URL=$(database_url edgecap_admin) "$BIN/edgecap-admin" "$@" --json
}

# Make both accounts and their credentials, kept as secrets account, token, key, lab-account, lab-token.
tenant_create() {
	local account lab
	account=$(tenant_admin account create --name demo --prefixes "$1" | jq -er .id)
	secret_put account "$account"
	tenant_admin token create --account "$account" --name demo --permissions read,download,collect |
		jq -er .token >"$RUN/secret/token"
	tenant_admin user create --email "$TENANT_EMAIL" --account "$account" --role admin |
		jq -er .key >"$RUN/secret/key"
	lab=$(tenant_admin account create --name lab --collect-interval 0s --running-max 1000 --unrestricted | jq -er .id)
	secret_put lab-account "$lab"
	tenant_admin token create --account "$lab" --name lab --permissions read,download,collect |
		jq -er .token >"$RUN/secret/lab-token"
}

# Write the assignments that a tenant's shell needs to $RUN/env.
tenant_environment() {
	(
		umask 077
		cat >"$RUN/env.new" <<-END
			EDGECAP_URL='http://127.0.0.1:$API_PORT/client/v4'
			EDGECAP_ACCOUNT='$(secret_get account)'
			EDGECAP_TOKEN='$(secret_get token)'
			EDGECAP_EMAIL='$TENANT_EMAIL'
			EDGECAP_KEY='$(secret_get key)'
			EDGECAP_LAB_ACCOUNT='$(secret_get lab-account)'
			EDGECAP_LAB_TOKEN='$(secret_get lab-token)'
			EDGECAP_DATABASE_URL='$(database_url edgecap_admin)'
		END
		! s3_present || printf "EDGECAP_DESTINATION='%s'\n" "$(s3_destination)" >>"$RUN/env.new"
		mv "$RUN/env.new" "$RUN/env"
	)
}
