package nodes

// A TenantType is a type whose settings may be good for one tenant and not for
// another.
type TenantType interface {
	Type
	// CheckFor is Check for a node of a tenant.
	CheckFor(tenant string, d Data) []Problem
}

var _ TenantType = dataQuery{}

// Check reports what is wrong with the settings of a node of a tenant.
func Check(t Type, tenant string, d Data) []Problem {
	if t, ok := t.(TenantType); ok {
		return t.CheckFor(tenant, d)
	}
	return t.Check(d)
}
