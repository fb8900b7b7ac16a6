#include "api/routes.h"

#include "api/audit_handlers.h"
#include "api/bucket_handlers.h"
#include "api/download.h"
#include "api/edge.h"
#include "api/health.h"
#include "api/ops.h"
#include "api/pcap_handlers.h"
#include "api/token_handlers.h"
#include "base/limits.h"
#include "jobqueue/jq_auth.h"

enum { EVERYWHERE = API_TENANTS | API_EDGE | API_OPS };

#define AUDIT "/client/v4/accounts/{id}/audit"
#define PCAPS "/client/v4/accounts/{id}/pcaps"
#define TOKENS "/client/v4/accounts/{id}/tokens"

/* clang-format off */
const struct api_route api_routes[] = {
	/* listeners, method, pattern, name, permission, body limit, unmetered, handler */
	{API_TENANTS, "POST", PCAPS, "pcaps.submit", PERM_COLLECT, 0, false, pcap_serve_submit},
	{API_TENANTS, "GET", PCAPS, "pcaps.list", PERM_READ, 0, false, pcap_serve_list},
	{API_TENANTS, "GET", PCAPS "/limits", "pcaps.limits", PERM_READ, 0, false, pcap_serve_limits},
	{API_TENANTS, "GET", PCAPS "/ownership", "ownership.list", PERM_READ, 0, false, bucket_serve_list},
	{API_TENANTS, "POST", PCAPS "/ownership", "ownership.create", PERM_COLLECT, 0, false, bucket_serve_create},
	{API_TENANTS, "POST", PCAPS "/ownership/validate", "ownership.validate", PERM_COLLECT, 0, false, bucket_serve_validate},
	{API_TENANTS, "DELETE", PCAPS "/ownership/{id}", "ownership.delete", PERM_COLLECT, 0, false, bucket_serve_delete},
	{API_TENANTS, "GET", PCAPS "/{id}", "pcaps.get", PERM_READ, 0, false, pcap_serve_get},
	{API_TENANTS, "DELETE", PCAPS "/{id}", "pcaps.delete", PERM_COLLECT, 0, false, pcap_serve_delete},
	{API_TENANTS, "GET", PCAPS "/{id}/download", "pcaps.download", PERM_DOWNLOAD, 0, false, pcap_serve_download},
	{API_TENANTS, "PUT", PCAPS "/{id}/stop", "pcaps.stop", PERM_COLLECT, 0, false, pcap_serve_stop},
	{API_TENANTS, "GET", TOKENS, "tokens.list", PERM_ADMIN, 0, false, token_serve_list},
	{API_TENANTS, "POST", TOKENS, "tokens.create", PERM_ADMIN, 0, false, token_serve_create},
	{API_TENANTS, "GET", TOKENS "/{id}", "tokens.get", PERM_ADMIN, 0, false, token_serve_get},
	{API_TENANTS, "DELETE", TOKENS "/{id}", "tokens.revoke", PERM_ADMIN, 0, false, token_serve_revoke},
	{API_TENANTS, "PUT", TOKENS "/{id}/value", "tokens.roll", PERM_ADMIN, 0, false, token_serve_roll},
	{API_TENANTS, "GET", AUDIT, "audit.list", PERM_ADMIN, 0, false, audit_serve_list},
	{API_EDGE, "POST", "/edge/v1/sync", "edge.sync", 0, LIMIT_SYNC_BYTES, true, api_serve_edge_sync},
	{API_EDGE, "PUT", "/edge/v1/objects/{rest}", "edge.object", 0, LIMIT_CHUNK_BYTES, true, api_serve_edge_object},
	{EVERYWHERE, "GET", "/healthz", "healthz", 0, 0, true, api_serve_healthz},
	{EVERYWHERE, "GET", "/readyz", "readyz", 0, 0, true, api_serve_readyz},
	{API_OPS, "GET", "/metrics", "metrics", 0, 0, true, api_serve_metrics},
};
/* clang-format on */

const size_t api_routes_count = ARRAY_LEN(api_routes);
