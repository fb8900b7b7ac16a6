/* filter_v1 as a tenant may send it: no crash, and what is accepted survives its canonical form. */
#include <string.h>

#include "base/json.h"
#include "packet/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct filter f, back;
	struct field_errors errors = {0};
	AUTO_JSON cJSON *json = NULL;
	if (json_parse((struct bytes){p, n}, &json, NULL) < 0)
		return 0;
	int r = filter_from_json(json, "/filter_v1", &f, &errors);
	EC_ASSERT((r == 0) == (errors.count == 0));
	for (size_t i = 0; i < errors.count && i < FIELD_ERRORS_MAX; i++) {
		EC_ASSERT(strncmp(errors.items[i].pointer, "/filter_v1", 10) == 0);
		EC_ASSERT(errors.items[i].message[0] != '\0');
	}
	if (r < 0)
		return 0;
	AUTO_JSON cJSON *again = filter_to_json(&f);
	EC_ASSERT(again);
	EC_ASSERT(filter_from_json(again, "/filter_v1", &back, &errors) == 0);
	EC_ASSERT(memcmp(&f, &back, sizeof(f)) == 0);
	return 0;
}
