package rpc

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// TenantKey is the key of the request metadata that names the tenant.
const TenantKey = "flywheel-tenant"

// DefaultTenant is the tenant of calls that name none.
const DefaultTenant = "default"

const maxTenantBytes = 64

// Tenant returns the tenant that a call is made for, from the metadata of the
// incoming call in ctx. A name is 1 to 64 characters of a-z, 0-9, "_" and "-";
// anything else, and more than one name, is an INVALID_ARGUMENT status error.
func Tenant(ctx context.Context) (string, error) {
	names := metadata.ValueFromIncomingContext(ctx, TenantKey)
	switch {
	case len(names) == 0:
		return DefaultTenant, nil
	case len(names) > 1:
		return "", invalidTenant("the metadata \"" + TenantKey + "\" occurs more than once: send one tenant per call")
	case !validTenant(names[0]):
		return "", invalidTenant("the metadata \"" + TenantKey + "\" is not a tenant name: use 1 to 64 characters of a-z, 0-9, \"_\" and \"-\"")
	}
	return names[0], nil
}

func validTenant(name string) bool {
	if name == "" || len(name) > maxTenantBytes {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func invalidTenant(message string) error {
	return invalid(message, Violations{Violation(TenantKey, "%s", message)})
}
