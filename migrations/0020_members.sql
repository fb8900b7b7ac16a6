-- Members of accounts come and go (edgecap-admin user remove, user disable).

GRANT UPDATE (disabled) ON users TO edgecap_admin;
GRANT DELETE ON memberships TO edgecap_admin;
