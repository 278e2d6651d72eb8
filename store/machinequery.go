package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"provisioner/query"
)

// condition makes SQL of a query: expressions over the table machines that are
// true or false, never null. Values are in its arguments only.
//
// What a query asks of other tables becomes subqueries that do not depend on
// the machine: SQLite answers each once, and looks the machine up in the answer.
type condition struct {
	args    []any
	on, off []int64 // see MachineFilter
}

// node returns the SQL of a node. Its arguments have been added in their order.
func (c *condition) node(n query.Node) (string, error) {
	switch n := n.(type) {
	case nil:
		return "TRUE", nil
	case query.All:
		return c.list(n, "TRUE", " AND ")
	case query.Any:
		return c.list(merged(n), "FALSE", " OR ")
	case query.Not:
		sql, err := c.node(n.Node)
		return "NOT " + sql, err
	case query.Compare:
		if n.Op != query.NotEqual {
			return c.compare(n)
		}
		n.Op = query.Equal
		sql, err := c.compare(n)
		return "NOT " + sql, err
	case oneOf:
		return c.compare(n.Compare, n.others...)
	}
	return "", fmt.Errorf("query: the store does not know %T", n)
}

func (c *condition) list(nodes []query.Node, none, between string) (string, error) {
	if len(nodes) == 0 {
		return none, nil
	}
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		var err error
		if parts[i], err = c.node(n); err != nil {
			return "", err
		}
	}
	return "(" + strings.Join(parts, between) + ")", nil
}

// oneOf is several comparisons by = of one field, at least one of which is true.
type oneOf struct {
	query.Compare
	others []any // values besides the one that is compared
}

// merged puts the comparisons by = of each field together, so that a list of
// names is looked up and not gone through for each machine.
func merged(nodes query.Any) []query.Node {
	var result []query.Node
	at := make(map[string]int) // by field, where its comparisons are
	for _, n := range nodes {
		compare, ok := n.(query.Compare)
		if !ok || compare.Op != query.Equal || compare.Field.Type != query.Text || compare.IsNone() || compare.Field.Name == "power" {
			result = append(result, n)
			continue
		}
		i, ok := at[compare.Field.Name]
		if !ok {
			at[compare.Field.Name] = len(result)
			result = append(result, compare)
			continue
		}
		switch first := result[i].(type) {
		case query.Compare:
			result[i] = oneOf{first, []any{compare.Value}}
		case oneOf:
			result[i] = oneOf{first.Compare, append(first.others, compare.Value)}
		}
	}
	return result
}

var (
	// references are the fields that are a column of a row which the machine
	// refers to, or not.
	references = map[string]struct{ column, rows, value string }{
		"arch": {"machines.subarch_id", `SELECT subarchitectures.id FROM subarchitectures
			JOIN architectures ON architectures.id = arch_id`, "architectures.name"},
		"subarch":  {"machines.subarch_id", "SELECT id FROM subarchitectures", "name"},
		"bmc_type": {"machines.bmc_id", "SELECT id FROM bmcs", "type"},
		"kernel":   {"machines.kernel_id", "SELECT id FROM images", "name"},
		"initrd":   {"machines.initrd_id", "SELECT id FROM images", "name"},
		"preseed":  {"machines.preseed_id", "SELECT id FROM preseeds", "name"},
	}

	// belongings are the fields that are a column of rows which refer to the machine.
	belongings = map[string]struct{ rows, value string }{
		"stage": {"SELECT machine_id FROM runs WHERE state = 'running'", "stage"},
		"holder": {`SELECT machine_id FROM reservations JOIN users ON users.id = user_id
			WHERE ended_at IS NULL`, "users.name"},
		"pool":    {"SELECT machine_id FROM pool_machines JOIN pools ON pools.id = pool_id WHERE TRUE", "pools.name"},
		"mac":     {"SELECT machine_id FROM interfaces WHERE TRUE", "mac"},
		"address": {"SELECT machine_id FROM interfaces WHERE configured_ipv4 <> ''", "configured_ipv4"},
		"network": {"SELECT machine_id FROM interfaces JOIN networks ON networks.id = network_id WHERE TRUE", "networks.name"},
	}

	// counts are the fields that are how many rows refer to the machine.
	counts = map[string]string{
		"assignee_count":  "SELECT machine_id FROM reservations WHERE ended_at IS NULL",
		"interface_count": "SELECT machine_id FROM interfaces",
	}

	columns = map[string]string{
		"name": "machines.name", "state": "machines.state", "id": "machines.id", "netboot": "machines.netboot_enabled",
	}
)

// compare returns the SQL of a comparison; with others, of one by = with any of
// several values, none of which is "".
func (c *condition) compare(n query.Compare, others ...any) (string, error) {
	if column, ok := columns[n.Field.Name]; ok {
		return c.value(n, column, others...), nil
	}
	if r, ok := references[n.Field.Name]; ok {
		sql := "ifnull(" + r.column + " IN (" + r.rows + " WHERE " + c.value(n, r.value, others...) + "), FALSE)"
		if n.Holds("") {
			sql = "(" + sql + " OR " + r.column + " IS NULL)"
		}
		return sql, nil
	}
	if b, ok := belongings[n.Field.Name]; ok {
		if n.IsNone() {
			return "machines.id NOT IN (" + b.rows + ")", nil
		}
		sql := "machines.id IN (" + b.rows + " AND " + c.value(n, b.value, others...) + ")"
		if !n.Field.Many && n.Holds("") {
			sql = "(" + sql + " OR machines.id NOT IN (" + b.rows + "))"
		}
		return sql, nil
	}
	if rows, ok := counts[n.Field.Name]; ok {
		if !n.Holds(int64(0)) {
			return "machines.id IN (" + rows + " GROUP BY machine_id HAVING " + c.value(n, "count(*)") + ")", nil
		}
		// Those without rows are in no group: it is asked who does not answer.
		if n.Op == query.Equal { // 0: nobody in a group answers
			return "machines.id NOT IN (" + rows + ")", nil
		}
		return "machines.id NOT IN (" + rows + " GROUP BY machine_id HAVING NOT " + c.value(n, "count(*)") + ")", nil
	}
	if n.Field.Name == "power" {
		return c.power(n)
	}
	return "", fmt.Errorf("query: the store does not know the field %s", n.Field.Name)
}

// power compares what the store was told of, as lists of ids.
func (c *condition) power(n query.Compare) (string, error) {
	lists := map[string][]int64{"on": c.on, "off": c.off}
	var parts []string
	for _, state := range []string{"on", "off"} {
		if !n.Holds(state) {
			continue
		}
		ids, err := json.Marshal(lists[state])
		if err != nil {
			return "", err
		}
		c.args = append(c.args, string(ids))
		parts = append(parts, "machines.id IN (SELECT value FROM json_each(?))")
	}
	if n.Holds("unknown") {
		both := make([]int64, 0, len(c.on)+len(c.off))
		ids, err := json.Marshal(append(append(both, c.on...), c.off...))
		if err != nil {
			return "", err
		}
		c.args = append(c.args, string(ids))
		parts = append(parts, "machines.id NOT IN (SELECT value FROM json_each(?))")
	}
	if len(parts) == 0 {
		return "FALSE", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}

// value compares an expression of SQL that is not null.
func (c *condition) value(n query.Compare, sql string, others ...any) string {
	value := n.Value
	if n.Field.Type == query.Text {
		text, _ := n.Value.(string) // nil is ""
		if n.Op == query.Contains {
			c.args = append(c.args, query.Fold(text))
			return "instr(lower(" + sql + "), ?) > 0"
		}
		value, sql = text, sql+" COLLATE NOCASE"
	}
	c.args = append(append(c.args, value), others...)
	if len(others) > 0 {
		return sql + " IN (?" + strings.Repeat(", ?", len(others)) + ")"
	}
	return sql + " " + string(n.Op) + " ?"
}
