/* A tenant's bucket (storage/bucket_list.h) as a store: what a full capture's file is written into.
 *
 * Keys are below the destination's directory. Requests are tried again as the S3 driver's are (storage/store.h). What holds for every request into a
 * tenant's bucket holds here: without `private_address` the address is checked when a connection is made (public_address.h), and there is no
 * redirect and no proxy.
 *
 * Unlike bucket_client's, connections are kept and used again, because a file is many parts. That opens no way around the check: it is made
 * where the socket is, so a connection that exists has passed it and cannot change its address; and the connections are this store's alone, which
 * has one destination with one set of keys and certificates.
 *
 * Texts of errors are for the tenant: what went wrong and S3's word for it ("... (403 AccessDenied)"), with neither host nor key. EC_ENOTFOUND of a
 * write means that the bucket is gone, EC_EPERM that the bucket does not let us (or that its address or certificate is none that we trust). What is
 * under way while a bucket is being removed can end with EC_EIO, "the upload is gone (404 NoSuchUpload)", because a bucket loses its uploads first: so does an
 * upload that the tenant, or a rule of the bucket, gave up. The next try tells one from the other.
 */
#pragma once

#include "storage/bucket_access.h"
#include "storage/store.h"

/* Open. loop: borrowed for the life of the store. access: copied. The server is not asked anything. Returns 0, EC_EPERM (no keys: they are the tenant's
 * and not known), EC_ENOMEM or EC_EIO. Close with store_close: the keys are wiped. */
int bucket_store_open(uv_loop_t *loop, const struct bucket_access *access, struct store **ret,
		      struct error *err) EC_MUST_CHECK;
