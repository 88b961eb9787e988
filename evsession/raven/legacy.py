"""The patches of 2012, lists like ``[{"Type": "Inc", "Name": "age", "Value": 1}]``: checked, and run by one constant script.

Knows the old server's rules and JavaScript; knows no endpoint. The commands travel as values, so nothing of theirs is ever
program text, and the server compiles the script once.

Run on 5.4, 6.2 and 7.1 with the same results. Where the old server was loose, this is not: a command on something that is no
object, or an increment of something that is no number, is an error instead of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from evsession.errors import PatchError

__all__ = ["SCRIPT", "check_commands"]

SCRIPT = """\
function own(o,n){return Object.prototype.hasOwnProperty.call(o,n);}
function same(a,b){
 if(typeof a!=='object'||typeof b!=='object'||a===null||b===null)return JSON.stringify([a])===JSON.stringify([b]);
 var k=Object.keys(a);if(Array.isArray(a)!==Array.isArray(b)||k.length!==Object.keys(b).length)return false;
 return k.every(function(n){return own(b,n)&&same(a[n],b[n]);});}
function bad(m){throw 'legacy-patch: '+m;}
function none(x){return x===undefined||x===null;}
function list(x,n){if(none(x))return [];if(!Array.isArray(x))bad(n+' is not an array');return x;}
function big(x){return typeof x==='number'&&Math.abs(x)>9007199254740991&&Math.abs(x)<2e19;}
function safe(x,n){if(big(x)||Array.isArray(x)&&x.some(big))bad(n+' holds an integer beyond 2^53, which a script would change');}
function copy(x){
 if(none(x)||typeof x!=='object')return x;
 var r=Array.isArray(x)?[]:{};for(var k in x)r[k]=copy(x[k]);return r;}
function run(o,ops){
 for(var i=0;i<ops.length;i++){var c=ops[i],n=c.Name,a;
  if(typeof o!=='object'||o===null||Array.isArray(o))bad(n+' belongs to something that is not an object');
  var cur=own(o,n)?o[n]:undefined,has=cur!==undefined;
  if(c.Type!=='Set'&&c.Type!=='Unset'&&c.Type!=='Modify'||'PrevVal' in c)safe(cur,n);
  if('PrevVal' in c&&!(has&&same(cur,c.PrevVal)))throw 'legacy-patch-conflict: '+n;
  switch(c.Type){
  case 'Set':o[n]=c.Value;break;
  case 'Unset':delete o[n];break;
  case 'Inc':if(none(cur)){o[n]=c.Value;}else{if(typeof cur!=='number')bad(n+' is not a number');o[n]=cur+c.Value;}break;
  case 'Add':a=list(cur,n);a.push(c.Value);o[n]=a;break;
  case 'Insert':a=Array.isArray(cur)?cur:[];if(c.Position>a.length)bad(n+' has no position '+c.Position);
   a.splice(c.Position,0,c.Value);o[n]=a;break;
  case 'Remove':a=list(cur,n);
   if(!none(c.Position)){if(c.Position>=a.length)bad(n+' has no position '+c.Position);a.splice(c.Position,1);o[n]=a;}
   else{o[n]=a.filter(function(x){return !same(x,c.Value);});}break;
  case 'Modify':if(none(cur))bad(n+' was not found');
   if(!Array.isArray(cur)){run(cur,c.Nested);}
   else if(c.AllPositions){for(var k=0;k<cur.length;k++)run(cur[k],c.Nested);}
   else{if(none(c.Position))bad(n+' is an array, so Position or AllPositions is needed');
    if(c.Position>=cur.length)bad(n+' has no position '+c.Position);run(cur[c.Position],c.Nested);}break;
  case 'Copy':if(has)o[c.Value]=copy(cur);break;
  case 'Rename':if(has){delete o[n];o[c.Value]=cur;}break;
  }}}
run(this,args.ops);
"""
"""`AllPositions` on more than about 1,000 items meets the server's limit of 10,000 statements."""

_FIELDS = ("AllPositions", "Name", "Nested", "Position", "PrevVal", "Type", "Value")
MAX_NESTING = 50
"""Levels of `Modify` in `Modify`; the script is recursive on the server."""

Command = dict[str, Any]


def check_commands(commands: object, where: str = "patches", depth: int = 0) -> list[Command]:
    """Return the commands if the server can run them.

    Raises:
        PatchError: naming the command by its index, the field and what is wrong with it.
    """
    if not isinstance(commands, (list, tuple)) or not commands:
        _refuse(where, f"a list of at least one patch is needed, not {commands!r}")
    if depth > MAX_NESTING:
        _refuse(where, f"nested deeper than {MAX_NESTING} levels")
    return [_check(command, f"{where}[{index}]", depth) for index, command in enumerate(commands)]


def _check(command: object, where: str, depth: int) -> Command:
    if not isinstance(command, dict):
        _refuse(where, f"a patch is a dict, not {command!r}")
    for name in command:
        if name not in _FIELDS:
            _refuse(where, f"there is no field {name!r}; known are {', '.join(_FIELDS)}")
    kind = command.get("Type")
    if not isinstance(kind, str) or kind not in _RULES:
        _refuse(where, f"Type is one of {', '.join(_RULES)}, not {kind!r}")
    if not isinstance(command.get("Name"), str) or not command["Name"]:
        _refuse(where, f"Name is the name of a property, not {command.get('Name')!r}")
    _RULES[kind](command, where)
    for name in ("Value", "PrevVal"):
        _exact(command.get(name), f"{where}.{name}")
    if kind == "Modify":
        return {**command, "Nested": check_commands(command.get("Nested"), f"{where}.Nested", depth + 1)}
    return dict(command)


def _exact(value: object, where: str) -> None:
    """Refuse integers that the server's scripts would round, alone or in a list; inside of objects they stay as they are."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    for item in items:
        if isinstance(item, int) and abs(item) > 2**53:
            _refuse(where, f"{item} is beyond 2**53, and the server's scripts would change it; save the document instead")


def _anything(command: Command, where: str) -> None:
    """``Unset`` needs nothing."""


def _value(command: Command, where: str) -> None:
    if "Value" not in command:
        _refuse(where, f"{command['Type']} needs a Value")


def _integer(command: Command, where: str) -> None:
    value = command.get("Value")
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
        _refuse(where, f"Value of Inc is a whole number up to 2**53, not {value!r}")


def _position(command: Command, where: str) -> None:
    position = command.get("Position")
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 2**31:
        _refuse(where, f"Position is a whole number from 0, not {position!r}")


def _insert(command: Command, where: str) -> None:
    _value(command, where)
    _position(command, where)


def _remove(command: Command, where: str) -> None:
    by_position = command.get("Position") is not None
    if by_position == ("Value" in command):
        _refuse(where, "Remove needs either Position or Value")
    if by_position:
        _position(command, where)


def _modify(command: Command, where: str) -> None:
    every = command.get("AllPositions")
    if every is not None and not isinstance(every, bool):
        _refuse(where, f"AllPositions is True or False, not {every!r}")
    if command.get("Position") is not None:
        _position(command, where)
        if every:
            _refuse(where, "Modify takes Position or AllPositions, not both")


def _name(command: Command, where: str) -> None:
    value = command.get("Value")
    if not isinstance(value, str) or not value:
        _refuse(where, f"Value of {command['Type']} is the new name of the property, not {value!r}")


_RULES: dict[str, Callable[[Command, str], None]] = {
    "Set": _value,
    "Unset": _anything,
    "Inc": _integer,
    "Add": _value,
    "Insert": _insert,
    "Remove": _remove,
    "Modify": _modify,
    "Copy": _name,
    "Rename": _name,
}


def _refuse(where: str, reason: str) -> NoReturn:
    raise PatchError(f"{where}: {reason}")
