/* Every limit on what somebody outside can make grow: name, value, unit, in one place.
 *
 * Contract limits (what a tenant may ask for) carry the contract's numbers; the rest are ours. A
 * limit that an operator may change is a setting whose default is here.
 */
#pragma once

#define LIMIT_KIB 1024u
#define LIMIT_MIB (1024u * 1024u)

/* Contract: POST /pcaps, `simple`. Bounds are inclusive. */
enum {
	LIMIT_TIME_S_MIN = 1,
	LIMIT_TIME_S_MAX = 300,
	LIMIT_PACKETS_MIN = 1,
	LIMIT_PACKETS_MAX = 10000,
	LIMIT_SIMPLE_SNAPLEN_BYTES = 160,
};

/* Contract: POST /pcaps, `full`. packet_limit as with `simple`, but not needed. */
enum {
	LIMIT_FULL_TIME_S_MAX = 24 * 3600,
	LIMIT_FULL_BYTES_MIN = 1,
	LIMIT_FULL_BYTES_MAX =
		1000000000,    /* of packets; also what a job has that asks for no limit */
	LIMIT_COLO_BYTES = 32, /* name of a colo or a metro */
};

/* Requests */
enum {
	LIMIT_BODY_BYTES = 64 * 1024,           /* tenant request body: 413 above */
	LIMIT_PATH_BYTES = 2048,                /* request path with query */
	LIMIT_HEAD_BYTES = 16 * 1024,           /* request line and headers */
	LIMIT_HEADERS = 64,                     /* header lines of a request */
	LIMIT_REQUEST_ARENA_BYTES = 512 * 1024, /* memory of one request besides its body */
	LIMIT_CREDENTIAL_BYTES = 256,           /* token, key or e-mail address in a header */
	LIMIT_IDEMPOTENCY_KEY_BYTES = 255,      /* Idempotency-Key header */
	LIMIT_LIST_PER_PAGE = 100,              /* rows of one list answer */
	LIMIT_LIST_PER_PAGE_DEFAULT = 50,
	LIMIT_IDEMPOTENCY_TTL_S = 24 * 3600,
};

/* Edge protocol */
enum {
	LIMIT_SYNC_BYTES = 4 * 1024 * 1024, /* one sync message, up or down */
	LIMIT_SYNC_HOLD_MS = 10000,         /* longest long poll */
	LIMIT_SYNC_PARTS = 4096,            /* parts in one sync message */
	LIMIT_INTERFACES = 16,              /* interfaces of one sampler */
	LIMIT_STREAMS = 16,                 /* streams (rings) of one part */
	LIMIT_UPLOAD_GRANTS = 16,           /* upload URLs granted ahead, per stream of a part */
	LIMIT_CHUNK_BYTES = 8 * 1024 * 1024 + 64 * 1024, /* one stored chunk */
	LIMIT_SIMPLE_CHUNK_BYTES = 256 * 1024,    /* a `simple` chunk is closed at this size */
	LIMIT_CHUNK_AGE_MS = 1000,                /* and at this age */
	LIMIT_FULL_CHUNK_BYTES = 8 * 1024 * 1024, /* a `full` chunk is closed at this size */
	LIMIT_FULL_CHUNKS_BY_AGE =
		10000, /* of a stream: a long `full` job's are closed at a later age */
	LIMIT_CHUNKS_PER_STREAM = 100000, /* seq of a chunk stays below */
	LIMIT_UPLOAD_URL_BYTES = 4096,    /* one upload URL */
	LIMIT_UPLOAD_URL_TTL_S = 600,     /* a signed upload URL lives this long */
	LIMIT_SAMPLER_SILENCE_S = 15,     /* then its parts are lost */
	LIMIT_JOB_GRACE_S = 30,           /* a job's deadline is its window plus this */
	LIMIT_FULL_GRACE_S = 900,         /* a `full` job's: the largest, uploaded at 1.1 MB/s */
	LIMIT_REASON_BYTES = 256,         /* a reason text from the edge */
	LIMIT_SAMPLER_OLD_TOKENS = 8,     /* replaced tokens of a sampler that are still good */
	LIMIT_TOKEN_OVERLAP_S = 30 * 24 * 3600, /* a replaced token is good for so long at most */
};

/* Tenancy */
enum {
	LIMIT_PREFIXES_PER_ACCOUNT = 4096,
	LIMIT_NAME_BYTES = 128,
	LIMIT_BUCKETS_PER_ACCOUNT = 100, /* also the rows of one list answer */
	LIMIT_TOKENS_PER_ACCOUNT = 100,  /* not revoked */
	LIMIT_TOKENS_REVOKED = 1000,     /* of an account, remembered; older ones are forgotten */
	LIMIT_TOKEN_SOURCES = 32,        /* networks that a token may be used from */
	LIMIT_AUDIT_DETAIL_BYTES = 1024, /* text about an operator's change */
	LIMIT_AUDIT_REFUSALS =
		60, /* rows of refused attempts at once, of one account in one replica */
	LIMIT_AUDIT_REFUSALS_PER_S = 1,        /* and then */
	LIMIT_CHALLENGE_TTL_S = 7 * 24 * 3600, /* a proof of ownership can be answered so long */
};

/* Failed logins, in the memory of one API process */
enum {
	LIMIT_LOGIN_SOURCES = 16384, /* sources whose failures are counted */
	LIMIT_LOGINS_KNOWN = 65536,  /* pairs of source and credential that were right */
	LIMIT_LOGIN_KNOWN_S = 600,   /* so long after the last time */
};

/* Connections and memory of one API process */
enum {
	LIMIT_WRITE_STALL_S = 30, /* a client that does not read is closed after this */
	LIMIT_KEEPALIVE_S = 75,   /* a connection without a request is closed after this */
	LIMIT_READ_S = 20,        /* a request, first byte to last */
	LIMIT_EDGE_READ_S = 120,  /* a sampler's, as long as it comes at the next one's rate */
	LIMIT_BODY_RATE_BYTES = 64 * 1024, /* each second, after LIMIT_READ_S */
	LIMIT_WRITE_RATE_BYTES = 1024, /* of an answer each second, in any LIMIT_WRITE_WINDOW_S */
	LIMIT_WRITE_WINDOW_S = 60,     /* a client that takes less is closed */
	LIMIT_LINGER_S = 2, /* what a refused client still sends is thrown away for so long */
	LIMIT_CONNECTIONS = 20000,              /* of one listener */
	LIMIT_BODIES_BYTES = 512 * 1024 * 1024, /* what has come of samplers' bodies, all of them */
	LIMIT_TENANTS_BODIES_BYTES = 64 * 1024 * 1024, /* the same of another listener's */
	LIMIT_SAMPLER_BODIES = 16, /* of one sampler at once: lanes, and those of a broken link */
	LIMIT_DOWNLOAD_BUFFER_BYTES = 64 * 1024,
};
