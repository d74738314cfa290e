package files

import (
	"errors"
	"fmt"
)

// Kind is what a field holds.
type Kind string

// The kinds of fields.
const (
	String  Kind = "string"
	Bool    Kind = "bool"
	Int64   Kind = "int64"
	Float64 Kind = "float64"
	// Timestamp is a time in UTC with microseconds.
	Timestamp Kind = "timestamp"
	// JSON is a string that holds a JSON value. JSON lines embed the value itself,
	// an empty string as null; Parquet keeps the string.
	JSON Kind = "json"
	// List is any number of values of the one field in Fields.
	List Kind = "list"
	// Struct is one value of each of Fields.
	Struct Kind = "struct"
)

// Schema is the columns of every row, in the order in which files have them.
type Schema []Field

// Field is one column, or one part of a nested one.
type Field struct {
	// Name is the name in the files. The field inside a list needs none.
	Name string `json:"name,omitempty"`
	Kind Kind   `json:"type"`
	// Nullable fields may have no value.
	Nullable bool `json:"nullable,omitempty"`
	// Omit leaves the name out of a JSON object that has no value for it, where
	// null would be written otherwise: trainers take "tool_calls": null badly.
	Omit bool `json:"omit,omitempty"`
	// Repeats says that few distinct values fill the column, so that Parquet keeps
	// each of them once for every row group (dictionary encoding). On a column of
	// distinct values it costs time and saves nothing.
	Repeats bool `json:"repeats,omitempty"`
	// Doc is the meaning, for the dataset card.
	Doc string `json:"doc,omitempty"`
	// Fields are what a list or a struct consists of.
	Fields []Field `json:"fields,omitempty"`
}

// Validate reports everything that is wrong with the schema.
func (s Schema) Validate() error {
	if len(s) == 0 {
		return errors.New("a schema without columns")
	}
	return validate("", s)
}

func validate(path string, fields []Field) error {
	var errs []error
	names := map[string]bool{}
	for _, f := range fields {
		name := path + f.Name
		if f.Name == "" || names[f.Name] {
			errs = append(errs, fmt.Errorf("field %q: a name of its own is needed", name))
		}
		names[f.Name] = true
		errs = append(errs, f.validate(name))
	}
	return errors.Join(errs...)
}

func (f *Field) validate(name string) error {
	switch f.Kind {
	case String, Bool, Int64, Float64, Timestamp, JSON:
		if len(f.Fields) > 0 {
			return fmt.Errorf("field %q: a %s has no fields", name, f.Kind)
		}
		return nil
	case List:
		if len(f.Fields) != 1 {
			return fmt.Errorf("field %q: a list has one field, not %d", name, len(f.Fields))
		}
		return f.Fields[0].validate(name + "[]")
	case Struct:
		if len(f.Fields) == 0 {
			return fmt.Errorf("field %q: a struct without fields", name)
		}
		return validate(name+".", f.Fields)
	}
	return fmt.Errorf("field %q: no kind %q", name, f.Kind)
}
