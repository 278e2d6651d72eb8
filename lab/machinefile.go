package lab

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Formats of files of machines.
const (
	FormatCSV  = "csv"
	FormatJSON = "json"
)

const (
	// MaxMachineFile is how large a file of machines may be, in bytes, and
	// maxMachineRows how many machines it may have.
	MaxMachineFile = 16 << 20
	maxMachineRows = 10000

	// clearCell is what a cell says that is to be empty: an empty one says
	// nothing.
	clearCell = "-"
)

// machineFields are what a file may say of a machine, in the order in which it
// is written. Lists are separated by spaces.
var machineFields = []string{
	"name", "arch", "firmware", "macs", "networks",
	"bmc_address", "bmc_type", "bmc_slot", "bmc_user", "bmc_password", "bmc_kg", "bmc_cipher_suites", "bmc_privilege",
	"pools", "console",
}

// secretFields are taken and never given.
var secretFields = []string{"bmc_password", "bmc_kg"}

// machineRow is what a file says of one machine.
type machineRow struct {
	line   int
	fields map[string]string // one that is missing stays as it is; an empty one is cleared
}

func (r machineRow) optional(field string) *string {
	if value, there := r.fields[field]; there {
		return &value
	}
	return nil
}

// ImportProblem is what is wrong in a file of machines, and where.
type ImportProblem struct {
	Line  int    // from 1; where the row begins
	Field string // empty: it is about the row
	Text  string
}

func (p ImportProblem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d, %s: %s", p.Line, p.Field, p.Text)
}

// machineFile reads a file of machines. What cannot be understood is among the
// problems; an error says that it is no such file at all.
func machineFile(format string, content []byte) (rows []machineRow, problems []ImportProblem, err error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // spreadsheets begin with it
	switch {
	case len(content) > MaxMachineFile:
		return nil, nil, fail(Invalid, "it is larger than %d bytes", MaxMachineFile)
	case !utf8.Valid(content):
		return nil, nil, fail(Invalid, "it is not UTF-8: save it as that")
	case format == FormatCSV:
		rows, problems, err = machineCSV(content)
	case format == FormatJSON:
		rows, problems, err = machineJSON(content)
	default:
		return nil, nil, fail(Invalid, "format %q is none of csv and json", format)
	}
	if err != nil {
		return nil, nil, err
	}
	return rows, append(problems, repeated(rows)...), nil
}

// repeated finds machines that are there twice.
func repeated(rows []machineRow) (problems []ImportProblem) {
	lines := make(map[string]int, len(rows))
	for _, r := range rows {
		name := strings.ToLower(r.fields["name"])
		if name == "" {
			problems = append(problems, ImportProblem{r.line, "name", "a name is needed"})
			continue
		}
		if first, there := lines[name]; there {
			problems = append(problems, ImportProblem{r.line, "name", fmt.Sprintf("%s is in line %d already", r.fields["name"], first)})
			continue
		}
		lines[name] = r.line
	}
	return problems
}

func unknownField(field string) string {
	return fmt.Sprintf("there is no field %.60q: there are %s", field, strings.Join(machineFields, ", "))
}

var errTooManyRows = fail(Invalid, "it has more than %d machines: divide it", maxMachineRows)

func machineCSV(content []byte) (rows []machineRow, problems []ImportProblem, err error) {
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, fail(Invalid, "it is empty: its first line names the fields: %s", strings.Join(machineFields, ","))
	}
	if err != nil {
		return nil, nil, fail(Invalid, "%w", err)
	}
	line, _ := r.FieldPos(0)
	for i, field := range header {
		header[i] = strings.ToLower(strings.TrimSpace(field))
	}
	if !slices.Contains(header, "name") {
		// It may be a machine, whose cells are not for errors.
		return nil, nil, fail(Invalid, "its first line does not name the fields: %s", strings.Join(machineFields, ","))
	}
	for i := range header {
		switch {
		case !slices.Contains(machineFields, header[i]):
			problems = append(problems, ImportProblem{Line: line, Text: unknownField(header[i])})
		case slices.Contains(header[:i], header[i]):
			problems = append(problems, ImportProblem{line, header[i], "the field is there twice"})
		}
	}
	if len(problems) > 0 {
		return nil, problems, nil // every row would have them
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, problems, nil
		}
		if err != nil {
			return nil, nil, fail(Invalid, "%w", err) // says the line
		}
		if len(rows) == maxMachineRows {
			return nil, nil, errTooManyRows
		}
		line, _ := r.FieldPos(0)
		row := machineRow{line, make(map[string]string)}
		if len(record) > len(header) {
			problems = append(problems, ImportProblem{Line: line, Text: fmt.Sprintf("it has %d cells, and there are %d fields", len(record), len(header))})
			record = record[:len(header)]
		}
		for i, cell := range record {
			switch cell = strings.TrimSpace(cell); cell {
			case "":
			case clearCell:
				row.fields[header[i]] = ""
			default:
				row.fields[header[i]] = cell
			}
		}
		rows = append(rows, row)
	}
}

func machineJSON(content []byte) (rows []machineRow, problems []ImportProblem, err error) {
	d := json.NewDecoder(bytes.NewReader(content))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, nil, fail(Invalid, "it is no JSON array of machines")
	}
	line, counted := 1, 0
	for d.More() {
		// What is before the row: a comma, and white space.
		begin := int(d.InputOffset())
		begin += len(content[begin:]) - len(bytes.TrimLeft(content[begin:], ", \t\r\n"))
		line += bytes.Count(content[counted:begin], []byte("\n"))
		counted = begin
		var object map[string]json.RawMessage
		if err := d.Decode(&object); err != nil {
			return nil, nil, fail(Invalid, "line %d: it is no JSON object with the fields of a machine: %w", line, err)
		}
		if len(rows) == maxMachineRows {
			return nil, nil, errTooManyRows
		}
		row := machineRow{line, make(map[string]string)}
		for field, value := range object {
			text, there, err := jsonCell(value)
			switch {
			case !slices.Contains(machineFields, field):
				problems = append(problems, ImportProblem{Line: line, Text: unknownField(field)})
			case err != nil:
				problems = append(problems, ImportProblem{line, field, err.Error()})
			case there:
				row.fields[field] = text
			}
		}
		rows = append(rows, row)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fail(Invalid, "its array does not end: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fail(Invalid, "there is something behind its array")
	}
	return rows, problems, nil
}

// jsonCell is a value as a cell would have it: text, a number, or a list of
// text; null is as good as nothing.
func jsonCell(value json.RawMessage) (text string, there bool, err error) {
	if string(value) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(value, &text) == nil {
		return text, true, nil
	}
	var number int
	if json.Unmarshal(value, &number) == nil {
		return strconv.Itoa(number), true, nil
	}
	var list []string
	if json.Unmarshal(value, &list) == nil {
		return strings.Join(list, " "), true, nil
	}
	return "", false, errors.New("give text, a number, or a list of text")
}

// writeMachineFile writes rows with the fields given.
func writeMachineFile(w io.Writer, format string, fields []string, rows []map[string]string) error {
	if format == FormatJSON {
		objects := make([]map[string]any, len(rows))
		for i, row := range rows {
			objects[i] = make(map[string]any, len(row))
			for field, text := range row {
				switch field {
				case "macs", "networks", "pools":
					objects[i][field] = strings.Fields(text)
				case "bmc_slot":
					if slot, err := strconv.Atoi(text); err == nil {
						objects[i][field] = slot
					}
				default:
					objects[i][field] = text
				}
			}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(objects)
	}
	c := csv.NewWriter(w)
	if err := c.Write(fields); err != nil {
		return err
	}
	for _, row := range rows {
		record := make([]string, len(fields))
		for i, field := range fields {
			record[i] = row[field]
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
