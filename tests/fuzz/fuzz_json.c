/* Text from the network against the strict JSON reader: what passes, cJSON reads the same way, and our print of
 * it passes again and means the same. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_integers(const cJSON *item)
{
	int64_t v = 0;

	if (json_int(item, -JSON_INT_MAX, JSON_INT_MAX, &v) == 0)
		EC_ASSERT((double)v == item->valuedouble);
	for (const cJSON *child = item->child; child; child = child->next)
		check_integers(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bytes text = {p, n};
	AUTO_JSON cJSON *tree = NULL;
	AUTO_JSON cJSON *again = NULL;
	struct error err = {0};

	int checked = json_check(text, &err);
	EC_ASSERT((checked == 0) == (err.code == 0));
	int r = json_parse(text, &tree, &err);
	if (checked < 0) {
		EC_ASSERT(r == EC_EFORMAT && !tree);
		return 0;
	}
	if (r < 0) {
		EC_ASSERT(strstr(err.text, "occurs twice") && !tree);
		return 0;
	}
	check_integers(tree);
	AUTO_FREE char *printed = json_print(tree);
	EC_ASSERT(printed);
	EC_ASSERT(json_parse(bytes_of(printed), &again, &err) == 0);
	EC_ASSERT(cJSON_Compare(tree, again, true));
	return 0;
}
