package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// goPackage gathers the public items of one package from its source.
type goPackage struct {
	items []item
	// structs by name, for what others embed.
	structs map[string]*ast.StructType
}

// plumbing are methods by which Go does what Rust does by traits.
var plumbing = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Is": true, "GRPCStatus": true}

// readGo reads a package; a folder that does not exist has no items.
func readGo(folder string) ([]item, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &goPackage{structs: map[string]*ast.StructType{}}
	files := token.NewFileSet()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(folder, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			p.declaration(d)
		}
	}
	p.promote()
	sortItems(p.items)
	return p.items, nil
}

func (p *goPackage) add(owner, name, shown string) {
	if ast.IsExported(name) {
		p.items = append(p.items, item{owner, name, shown})
	}
}

func (p *goPackage) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		p.function(d)
	case *ast.GenDecl:
		var of string // constants after iota repeat the type of the one before
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				p.typeSpec(s)
			case *ast.ValueSpec:
				of = p.values(s, of)
			}
		}
	}
}

func (p *goPackage) function(d *ast.FuncDecl) {
	name := d.Name.Name
	if d.Recv != nil {
		owner := typeName(d.Recv.List[0].Type)
		if ast.IsExported(owner) && !plumbing[name] {
			p.add(owner, name, owner+"."+name)
		}
		return
	}
	// An option is what a builder's method is in Rust.
	if rest, ok := strings.CutPrefix(name, "With"); ok && returnsOption(d) {
		p.items = append(p.items, item{"ClientBuilder", rest, name})
		return
	}
	p.add("", name, name)
}

func returnsOption(d *ast.FuncDecl) bool {
	results := d.Type.Results
	return results != nil && len(results.List) == 1 && typeName(results.List[0].Type) == "Option"
}

func (p *goPackage) typeSpec(s *ast.TypeSpec) {
	name := s.Name.Name
	p.add("", name, name)
	if !ast.IsExported(name) {
		if t, ok := s.Type.(*ast.StructType); ok {
			p.structs[name] = t
		}
		return
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		p.structs[name] = t
		p.fields(name, t)
	case *ast.InterfaceType:
		for _, m := range t.Methods.List {
			for _, n := range m.Names {
				p.add(name, n.Name, name+"."+n.Name)
			}
		}
	}
}

func (p *goPackage) fields(owner string, t *ast.StructType) {
	for _, f := range t.Fields.List {
		if len(f.Names) == 0 {
			embedded := typeName(f.Type)
			p.add(owner, embedded, owner+"."+embedded)
			continue
		}
		for _, n := range f.Names {
			p.add(owner, n.Name, owner+"."+n.Name)
		}
	}
}

// promote is for the fields of structs that are embedded.
func (p *goPackage) promote() {
	for owner, t := range p.structs {
		for _, f := range t.Fields.List {
			if inner := p.structs[typeName(f.Type)]; len(f.Names) == 0 && inner != nil && ast.IsExported(owner) {
				p.fields(owner, inner)
			}
		}
	}
}

func (p *goPackage) values(s *ast.ValueSpec, before string) string {
	of := before
	if s.Type != nil {
		of = typeName(s.Type)
	} else if len(s.Values) == 1 {
		of = ""
		if call, ok := s.Values[0].(*ast.CallExpr); ok {
			of = typeName(call.Fun) // Protocol(…)
		}
	}
	for _, n := range s.Names {
		if !ast.IsExported(n.Name) {
			continue
		}
		if of != "" && ast.IsExported(of) {
			p.items = append(p.items, item{of, variant(n.Name, of), n.Name})
		} else {
			p.add("", n.Name, n.Name)
		}
	}
	return of
}

// typeName is the name of a type of the package, without pointer.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	default:
		return ""
	}
}
