#include "jobqueue/jq_scope.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

/* What a row says. */
struct scope_row {
	struct id account;
	bool unrestricted;
	struct prefix prefix; /* family 0: none */
};

static int read_row(const PGresult *res, int i, struct scope_row *ret, struct error *err)
{
	struct pg_row row = pg_row_at(res, i);

	ret->account = pg_row_id(&row);
	ret->unrestricted = pg_row_bool(&row);
	ret->prefix = pg_row_prefix(&row);
	return pg_row_end(&row, err);
}

/* Close the group of rows of one account. prefixes: its own. */
static int finish(struct account_scopes *s, const struct scope_row *row,
		  const struct prefix *prefixes, size_t count, struct error *err)
{
	struct account_scope *item = &s->items[s->count];

	item->account = row->account;
	if (scope_init(&item->scope, row->unrestricted, prefixes, count) < 0)
		return error_set(err, EC_ENOMEM, "out of memory");
	s->count++;
	return 0;
}

int account_scopes_read(const PGresult *res, struct account_scopes *ret, struct error *err)
{
	int rows = PQntuples(res), code = 0;
	struct scope_row last = {0}, row = {0};
	struct account_scopes s = {.items = calloc((size_t)rows + 1, sizeof(*s.items))};
	AUTO_FREE struct prefix *prefixes = calloc((size_t)rows + 1, sizeof(*prefixes));
	size_t count = 0;

	if (!s.items || !prefixes)
		code = error_set(err, EC_ENOMEM, "out of memory");
	for (int i = 0; code == 0 && i < rows; i++) {
		code = read_row(res, i, &row, err);
		if (code == 0 && i > 0 && !id_equal(&row.account, &last.account)) {
			code = finish(&s, &last, prefixes, count, err);
			count = 0;
		}
		if (row.prefix.addr.family != 0)
			prefixes[count++] = row.prefix;
		last = row;
	}
	if (code == 0 && rows > 0)
		code = finish(&s, &last, prefixes, count, err);
	if (code < 0)
		account_scopes_fini(&s);
	else
		*ret = s;
	return code;
}

static int compare(const void *key, const void *item)
{
	const struct id *account = key;
	const struct account_scope *s = item;

	return strcmp(account->hex, s->account.hex);
}

struct scope account_scopes_get(const struct account_scopes *s, const struct id *account)
{
	const struct account_scope *found =
		s->count == 0 ? NULL
			      : bsearch(account, s->items, s->count, sizeof(*s->items), compare);

	return found ? found->scope : (struct scope){0};
}

void account_scopes_fini(struct account_scopes *s)
{
	for (size_t i = 0; s->items && i < s->count; i++)
		scope_fini(&s->items[i].scope);
	free(s->items);
	*s = (struct account_scopes){0};
}
