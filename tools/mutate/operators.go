package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// operators and what each becomes.
var operators = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL}, token.AND: {token.OR}, token.OR: {token.AND}, token.XOR: {token.AND},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN},
	token.MUL_ASSIGN: {token.QUO_ASSIGN}, token.QUO_ASSIGN: {token.MUL_ASSIGN},
	token.SHL_ASSIGN: {token.SHR_ASSIGN}, token.SHR_ASSIGN: {token.SHL_ASSIGN},
	token.AND_ASSIGN: {token.OR_ASSIGN}, token.OR_ASSIGN: {token.AND_ASSIGN}, token.XOR_ASSIGN: {token.AND_ASSIGN},
	token.INC: {token.DEC}, token.DEC: {token.INC},
}

// finder finds the mutants of one declaration.
type finder struct {
	program *program
	source  *source
	list    []*mutant
	// name of the declaration, and whether it is a function, whose own declarations do not count.
	name     string
	function bool
}

// add notes that text may stand for from..to, which is a part of owner.
func (f *finder) add(owner ast.Node, from, to token.Pos, text string) *mutant {
	at := f.program.files.Position(from)
	m := &mutant{source: f.source, owner: owner, from: at.Offset, to: f.program.offset(to), text: text, line: at.Line, declaration: f.name}
	f.list = append(f.list, m)
	return m
}

func (f *finder) typeOf(e ast.Expr) types.TypeAndValue { return f.source.unit.info.Types[e] }

func (f *finder) visit(node ast.Node) bool {
	if name := nameOf(node); name != "" && !f.function {
		f.name = name
		_, f.function = node.(*ast.FuncDecl)
	}
	switch n := node.(type) {
	case *ast.GenDecl:
		return n.Tok == token.CONST || n.Tok == token.VAR
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		f.condition(n.Cond)
	case *ast.SwitchStmt:
		f.cases(n)
	case ast.Expr:
		f.expression(n)
	case ast.Stmt:
		f.statement(n)
	}
	return true
}

func (f *finder) expression(e ast.Expr) {
	switch n := e.(type) {
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.add(n, n.OpPos, n.OpPos+1, "")
		}
	case *ast.BasicLit:
		f.literal(n)
	case *ast.Ident:
		f.truth(n)
	}
}

func (f *finder) binary(n *ast.BinaryExpr) {
	isText := isString(f.typeOf(n.X).Type)
	for _, other := range operators[n.Op] {
		if isText && other == token.SUB {
			continue
		}
		m := f.add(n, n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String())
		if f.typeOf(n).Value != nil {
			m.change = func() func() {
				old := n.Op
				n.Op = other
				return func() { n.Op = old }
			}
		}
	}
}

func isString(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func (f *finder) literal(n *ast.BasicLit) {
	text := ""
	switch n.Kind {
	case token.INT:
		value := constant.MakeFromLiteral(n.Value, token.INT, 0)
		text = constant.BinaryOp(value, token.ADD, constant.MakeInt64(1)).ExactString()
	case token.CHAR:
		value, _, _, err := strconv.UnquoteChar(strings.Trim(n.Value, "'"), '\'')
		if err != nil {
			return
		}
		text = strconv.QuoteRune(value + 1)
	case token.STRING:
		text = `""`
		if n.Value == text {
			text = `"a"`
		}
	default:
		return
	}
	f.add(n, n.Pos(), n.End(), text).change = func() func() {
		old := n.Value
		n.Value = text
		return func() { n.Value = old }
	}
}

func (f *finder) truth(n *ast.Ident) {
	other := map[string]string{"true": "false", "false": "true"}[n.Name]
	if tv := f.typeOf(n); other == "" || tv.Value == nil {
		return
	}
	f.add(n, n.Pos(), n.End(), other).change = func() func() {
		old := n.Name
		n.Name = other
		return func() { n.Name = old }
	}
}

// condition makes a condition always or never hold, and keeps its operands in use.
func (f *finder) condition(cond ast.Expr) {
	if cond == nil || f.typeOf(cond).Value != nil {
		return
	}
	text := string(f.source.text[f.program.offset(cond.Pos()):f.program.offset(cond.End())])
	f.add(cond, cond.Pos(), cond.End(), "true || "+text)
	f.add(cond, cond.Pos(), cond.End(), "false && ("+text+")")
}

// cases makes conditions always or never hold, or leaves out values.
func (f *finder) cases(n *ast.SwitchStmt) {
	for _, s := range n.Body.List {
		for _, e := range s.(*ast.CaseClause).List {
			if n.Tag == nil {
				f.condition(e)
				continue
			}
			// No vector can have these values, or what they would be is unknown.
			if isString(f.typeOf(e).Type) {
				f.add(e, e.Pos(), e.End(), `"\x00 no such text"`)
			} else if f.typeOf(e).Value != nil {
				f.add(e, e.Pos(), e.End(), "247")
			}
		}
	}
}

func (f *finder) statement(node ast.Stmt) {
	switch n := node.(type) {
	case *ast.IncDecStmt:
		f.swap(n, n.TokPos, n.Tok)
	case *ast.AssignStmt:
		if !isString(f.typeOf(n.Lhs[0]).Type) {
			f.swap(n, n.TokPos, n.Tok)
		}
		if n.Tok == token.ASSIGN {
			f.assignment(n)
		}
	case *ast.ExprStmt:
		if call, ok := n.X.(*ast.CallExpr); ok {
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
				return
			}
		}
		f.add(n, n.Pos(), n.End(), "")
	case *ast.BranchStmt:
		if n.Tok == token.BREAK || n.Tok == token.CONTINUE {
			f.add(n, n.Pos(), n.End(), "")
		}
	}
}

// assignment leaves one out, but not what it calls. A nil cannot be assigned to nothing.
func (f *finder) assignment(n *ast.AssignStmt) {
	var left []string
	for _, e := range n.Rhs {
		if !f.typeOf(e).IsNil() {
			left = append(left, string(f.source.text[f.program.offset(e.Pos()):f.program.offset(e.End())]))
		}
	}
	names := len(left)
	if len(n.Lhs) != len(n.Rhs) {
		names = len(n.Lhs)
	}
	if names == 0 {
		f.add(n, n.Pos(), n.End(), "")
		return
	}
	f.add(n, n.Pos(), n.End(), strings.Repeat("_, ", names-1)+"_ = "+strings.Join(left, ", "))
}

func (f *finder) swap(owner ast.Stmt, at token.Pos, op token.Token) {
	for _, other := range operators[op] {
		f.add(owner, at, at+token.Pos(len(op.String())), other.String())
	}
}
