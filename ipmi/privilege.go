package ipmi

import (
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"
)

// Privilege is what a session may do (IPMI v2.0 §6.8).
type Privilege uint8

const (
	// PrivilegeDefault is Administrator, or Operator for a user who may do no
	// more.
	PrivilegeDefault Privilege = 0
	// PrivilegeUser may look, but not touch: no power, no console.
	PrivilegeUser = Privilege(types.PrivilegeLevelUser)
	// PrivilegeOperator is enough for power, boot device and, unless its SOL
	// settings say otherwise, the console.
	PrivilegeOperator      = Privilege(types.PrivilegeLevelOperator)
	PrivilegeAdministrator = Privilege(types.PrivilegeLevelAdministrator)
)

// String returns "default", "user", "operator" or "administrator"; other
// levels, of which a BMC may tell, are "callback", "OEM" and "level N".
func (p Privilege) String() string {
	switch p {
	case PrivilegeDefault:
		return "default"
	case Privilege(types.PrivilegeLevelCallback):
		return "callback"
	case PrivilegeUser:
		return "user"
	case PrivilegeOperator:
		return "operator"
	case PrivilegeAdministrator:
		return "administrator"
	case Privilege(types.PrivilegeLevelOEM):
		return "OEM"
	}
	return fmt.Sprintf("level %d", uint8(p))
}

// ParsePrivilege reads what String returns of the levels that a Config may
// have. The empty text is the default.
func ParsePrivilege(text string) (Privilege, error) {
	switch text {
	case "", "default":
		return PrivilegeDefault, nil
	case "user":
		return PrivilegeUser, nil
	case "operator":
		return PrivilegeOperator, nil
	case "administrator":
		return PrivilegeAdministrator, nil
	}
	return PrivilegeDefault, fmt.Errorf("%q is no privilege level: user, operator or administrator", text)
}

func (p Privilege) check() error {
	switch p {
	case PrivilegeDefault, PrivilegeUser, PrivilegeOperator, PrivilegeAdministrator:
		return nil
	}
	return fmt.Errorf("a session cannot have the privilege of %v: user, operator or administrator", p)
}

// level is what to ask the BMC for first.
func (p Privilege) level() types.PrivilegeLevel {
	if p == PrivilegeDefault {
		return types.PrivilegeLevelAdministrator
	}
	return types.PrivilegeLevel(p)
}

// lowest is what to be content with.
func (p Privilege) lowest() types.PrivilegeLevel {
	if p == PrivilegeDefault {
		return types.PrivilegeLevelOperator
	}
	return types.PrivilegeLevel(p)
}
