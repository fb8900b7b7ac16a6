/* Giving up the uploads of one key, against a server that plays a script: pages, keys that only begin alike, refusals. */
#include "tests/unit/storage/s3_script.h"

#define LIST(inside) OK "\r\n<ListMultipartUploadsResult>" inside "</ListMultipartUploadsResult>"
#define MORE(key, id)                                                                              \
	"<IsTruncated>true</IsTruncated><NextKeyMarker>" key "</NextKeyMarker>"                    \
	"<NextUploadIdMarker>" id "</NextUploadIdMarker>"
#define UPLOAD(key, id) "<Upload><Key>" key "</Key><UploadId>" id "</UploadId></Upload>"
#define GONE "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n"
#define FIRST_PAGE "GET /bucket?encoding-type=url&prefix=p%2Fpcap_a.pcap&uploads= HTTP"

static int give_up(const struct step *steps, size_t count, struct error *err)
{
	struct fixture f;

	begin_bucket(&f, steps, count);
	int r = store_wait_give_up(f.store, "pcap_a.pcap", err);
	end(&f);
	return r;
}

static void test_pages_are_followed(void **state)
{
	static const struct step steps[] = {
		{FIRST_PAGE, LIST(UPLOAD("p/pcap_a.pcap", "1") MORE("p/pcap_a.pcap", "1"))},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=1 HTTP", GONE},
		/* a page without any of ours is not the last one */
		{"GET /bucket?encoding-type=url&key-marker=p%2Fpcap_a.pcap&prefix=p%2Fpcap_a.pcap&"
		 "upload-id-marker=1&uploads= HTTP",
		 LIST(UPLOAD("p/pcap_a.pcap-", "2") MORE("p%2Fpcap_a.pcap-", "2"))},
		{"GET /bucket?encoding-type=url&key-marker=p%2Fpcap_a.pcap-&prefix=",
		 LIST(UPLOAD("p/pcap_a.pcap", "3") UPLOAD("p/pcap_a.pcap", "4"))},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=4 HTTP", GONE},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=3 HTTP", GONE},
	};
	struct error err = {.code = 0};

	(void)state;
	if (give_up(steps, ARRAY_LEN(steps), &err) < 0)
		fail_msg("%s", err.text);
}

static void test_a_folder(void **state)
{
	static const struct step steps[] = {
		{"GET /bucket?encoding-type=url&prefix=p%2Fa%2Fb%2F&uploads= HTTP",
		 LIST(UPLOAD("p/a/b/x", "1") UPLOAD("p/a/bx", "2") UPLOAD("p/a/b/c/y", "3"))},
		{"DELETE /bucket/p/a/b/c/y?uploadId=3 HTTP", GONE},
		{"DELETE /bucket/p/a/b/x?uploadId=1 HTTP", GONE},
	};
	struct error err = {.code = 0};
	struct fixture f;

	(void)state;
	begin_bucket(&f, steps, ARRAY_LEN(steps));
	int r = store_wait_give_up(f.store, "a/b/", &err);
	end(&f);
	if (r < 0)
		fail_msg("%s", err.text);
}

/* The server's prefix is no more than a hint. */
static void test_exactly_this_key(void **state)
{
	static const struct step steps[] = {
		{FIRST_PAGE,
		 LIST(UPLOAD("p/pcap_a.pcap2", "1") UPLOAD("p/pcap_a.pcap/b", "2")
			      UPLOAD("p/pcap_a.pca", "3") UPLOAD("pcap_a.pcap", "4") UPLOAD(
				      "q/pcap_a.pcap", "5") UPLOAD("p/p/pcap_a.pcap", "6")
				      UPLOAD("p/pcap_a.pcap%00", "7") UPLOAD("p/pcap_a.pcap", "")
					      UPLOAD("p/pcap_a%2Epcap", "8"))},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=8 HTTP", GONE},
	};
	struct error err = {.code = 0};

	(void)state;
	if (give_up(steps, ARRAY_LEN(steps), &err) < 0)
		fail_msg("%s", err.text);
}

/* One that somebody else gave up meanwhile is what was wanted. */
static void test_uploads_that_are_gone(void **state)
{
	static const struct step steps[] = {
		{FIRST_PAGE, LIST(UPLOAD("p/pcap_a.pcap", "1") UPLOAD("p/pcap_a.pcap", "2"))},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=2 HTTP", ERROR("404 x", "NoSuchUpload")},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=1 HTTP", NOT_FOUND},
	};

	(void)state;
	assert_int_equal(give_up(steps, ARRAY_LEN(steps), NULL), 0);
}

/* The first refusal is the end: the next upload would be refused, or waited for, as well. */
static void test_a_refusal(void **state)
{
	static const struct step steps[] = {
		{FIRST_PAGE, LIST(UPLOAD("p/pcap_a.pcap", "1") UPLOAD("p/pcap_a.pcap", "2")
					  MORE("p/pcap_a.pcap", "2"))},
		{"DELETE /bucket/p/pcap_a.pcap?uploadId=2 HTTP", ERROR("403 x", "AccessDenied")},
	};
	struct error err = {.code = 0};

	(void)state;
	assert_int_equal(give_up(steps, ARRAY_LEN(steps), &err), EC_EPERM);
	assert_string_equal(err.text, "the store does not allow it (403 AccessDenied)");
}

static const struct {
	const char *answer;
	int code;
} lists[] = {
	{LIST("<IsTruncated>true</IsTruncated>"), EC_EIO}, /* no marker: for ever */
	{LIST("<Upload>"), EC_EIO},
	{OK "\r\n<Other/>", EC_EIO},
	{ERROR("403 x", "AccessDenied"), EC_EPERM},
	{ERROR("404 x", "NoSuchBucket"), EC_ENOTFOUND},
	{NOT_FOUND, EC_ENOTFOUND},
	{LIST("<IsTruncated>false</IsTruncated>"), 0},
};

static void test_lists_that_say_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct step step = {FIRST_PAGE, lists[i].answer};
		int r = give_up(&step, 1, NULL);
		if (r != lists[i].code)
			fail_msg("list %zu: %d", i, r);
	}
}

static void on_done(void *arg, const struct error *err)
{
	*(int *)arg = err ? err->code : 0;
}

/* A store that is closed meanwhile does not claim that nothing is left. */
static void test_a_store_that_is_closed(void **state)
{
	static const struct step steps[] = {
		{FIRST_PAGE, LIST(UPLOAD("p/pcap_a.pcap", "1"))},
	};
	struct fixture f;
	int r = 1;

	(void)state;
	begin_bucket(&f, steps, ARRAY_LEN(steps));
	store_give_up(f.store, "pcap_a.pcap", on_done, &r);
	end(&f);
	assert_int_equal(r, EC_ECANCELED);
}

static void test_a_key_that_is_none(void **state)
{
	struct fixture f;

	(void)state;
	begin_bucket(&f, NULL, 0);
	assert_int_equal(store_wait_give_up(f.store, "a/../b", NULL), EC_EINVAL);
	assert_int_equal(store_wait_give_up(f.store, "", NULL), EC_EINVAL);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_are_followed),
		cmocka_unit_test(test_a_folder),
		cmocka_unit_test(test_exactly_this_key),
		cmocka_unit_test(test_uploads_that_are_gone),
		cmocka_unit_test(test_a_refusal),
		cmocka_unit_test(test_lists_that_say_nothing),
		cmocka_unit_test(test_a_store_that_is_closed),
		cmocka_unit_test(test_a_key_that_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
